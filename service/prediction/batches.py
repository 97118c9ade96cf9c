"""Scores and stores the work of concurrent requests together: one transaction for a batch, and few calls of each
model. While the champion changes, a batch may have work for two models."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from serialize.task import Label
from service.errors import InvalidBody, Unavailable, pointer
from service.prediction.arrays.label_array import LabelArrayParser
from service.prediction.arrays.observation_array import ColumnParser
from service.prediction.arrays.scored_array import ScoredArray, score_arrays
from service.prediction.columns import ObservationColumns, RowColumns
from service.prediction.observation import Observation, ObservationParser
from service.prediction.record import Record, ScoredObservation, Stored, StoredPrediction
from service.prediction.scoring import Score, Scorer
from service.prediction.true_label import LabelParser, TrueLabel

# The predictions or records of a request. For observations by column: the bytes of the answer, or None if they have to
# be processed one by one.
Outcome = list[StoredPrediction] | list[Record] | bytes | None

_Predictions = Sequence[Sequence[ScoredObservation]]
_Arrays = Sequence[RowColumns]
_Labels = Sequence[Sequence[TrueLabel]]
# Does work in one transaction and returns after its commit.
_Transaction = Callable[[Callable[[], Any]], Any]
# The number of requests in a batch, the seconds that its commit took, and its new predictions by version and class.
NewPredictions = Mapping[tuple[str, Label | None], int]
OnBatch = Callable[[int, float, NewPredictions], None]


class Writer(Protocol):
    """Stores groups of predictions, predictions by column, and groups of labels of one model: see PredictionLog."""

    def commit(self, predictions: _Predictions, arrays: _Arrays, labels: _Labels) -> Stored:
        """In a transaction of its own; returns after its commit."""

    def store(self, predictions: _Predictions, arrays: _Arrays, labels: _Labels) -> Stored:
        """Within the caller's transaction."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """What a request needs of the model that serves when it begins: the version, the parsers of items and of arrays,
    the scorer, and the writer of its rows."""

    version: str
    observations: ObservationParser
    observation_array: ColumnParser
    labels: LabelParser
    label_array: LabelArrayParser
    scorer: Scorer
    log: Writer


@dataclass(frozen=True, slots=True)
class Work:
    """The parsed content of one request: an item of a batch. It has observations, or observations by column, or
    labels."""

    model: ServedModel
    observations: tuple[Observation, ...] = ()
    columns: ObservationColumns | None = None
    labels: tuple[TrueLabel, ...] = ()


class Batches:
    """Processes batches. `transaction` is for a batch with work for several models; `on_batch` is called after every
    batch."""

    def __init__(self, transaction: _Transaction, on_batch: OnBatch) -> None:
        self._transaction = transaction
        self._on_batch = on_batch

    def process(self, batch: list[Work]) -> Sequence[Outcome | Exception]:
        """The outcomes of a batch in order. An error affects only its own request."""
        by_model: dict[ServedModel, list[int]] = {}
        for place, work in enumerate(batch):
            by_model.setdefault(work.model, []).append(place)
        parts = [_Part(model, [batch[place] for place in places]) for model, places in by_model.items()]
        began = perf_counter()
        try:
            if len(parts) == 1:
                stored = [parts[0].model.log.commit(*parts[0].to_store)]
            else:
                stored = self._transaction(lambda: [part.model.log.store(*part.to_store) for part in parts])
        except Unavailable as error:
            self._on_batch(len(batch), perf_counter() - began, {})
            return [error] * len(batch)
        seconds = perf_counter() - began
        for part, found in zip(parts, stored, strict=True):
            part.keep(found)
        self._on_batch(len(batch), seconds, _new_predictions(parts))
        if len(parts) == 1:
            return parts[0].outcomes
        outcomes: dict[int, Outcome | Exception] = {}
        for part, places in zip(parts, by_model.values(), strict=True):
            outcomes.update(zip(places, part.outcomes, strict=True))
        return [outcomes[place] for place in range(len(batch))]


class _Part:
    """The work of a batch for one model: scored, then stored. `to_store` are the groups of predictions, the predictions
    by column and the groups of labels; `outcomes` is the result for each work."""

    def __init__(self, model: ServedModel, works: Sequence[Work]) -> None:
        self.model = model
        scored = _score(model.scorer, [work.observations for work in works])
        groups = {i: group for i, group in enumerate(scored) if not isinstance(group, Exception)}
        self._labelled = {i: work.labels for i, work in enumerate(works) if work.labels}
        self._predicted = [i for i in groups if groups[i]]
        columns = {i: work.columns for i, work in enumerate(works) if work.columns is not None}
        self._arrays = _scored_arrays(model.scorer, columns) if columns else {}
        arrays = [array.rows() for array in self._arrays.values()]
        self.to_store = [groups[i] for i in self._predicted], arrays, list(self._labelled.values())
        self.outcomes: list[Outcome | Exception] = [group if isinstance(group, Exception) else [] for group in scored]
        for i in columns:
            self.outcomes[i] = None
        self._stored = Stored([], [], [])

    def keep(self, stored: Stored) -> None:
        """Takes what was stored."""
        self._stored = stored
        for i, group in zip(self._predicted, stored.predictions, strict=True):
            self.outcomes[i] = group
        for (i, array), ids in zip(self._arrays.items(), stored.row_ids, strict=True):
            self.outcomes[i] = None if ids is None else array.answer(ids)
        for i, outcome in zip(self._labelled, stored.records, strict=True):
            self.outcomes[i] = outcome

    def new_classes(self) -> Mapping[Label | None, int]:
        """The number of new predictions of each class."""
        groups = [group for group in self._stored.predictions if isinstance(group, list)]
        classes = [each.record.score.predicted_class for group in groups for each in group if not each.replayed]
        counted = Counter(classes) if len(classes) > 1 else dict.fromkeys(classes, 1)
        if not self._arrays:
            return counted
        pairs = zip(self._arrays.values(), self._stored.row_ids, strict=True)
        return sum((array.predicted_classes() for array, ids in pairs if ids is not None), Counter(counted))


def _new_predictions(parts: Sequence[_Part]) -> NewPredictions:
    """The number of new predictions by version and class. After a swap there and back, two parts have one version."""
    if len(parts) == 1:
        return {(parts[0].model.version, label): number for label, number in parts[0].new_classes().items()}
    new: Counter[tuple[str, Label | None]] = Counter()
    for part in parts:
        new.update({(part.model.version, label): number for label, number in part.new_classes().items()})
    return new


def _scored_arrays(scorer: Scorer, columns: Mapping[int, ObservationColumns]) -> dict[int, ScoredArray]:
    """The observations by column that the model can score, by the place of their work."""
    pairs = zip(columns, score_arrays(scorer, list(columns.values())), strict=True)
    return {i: array for i, array in pairs if array is not None}


def _score(scorer: Scorer, groups: Sequence[Sequence[Observation]]) -> list[list[ScoredObservation] | Exception]:
    observations = [observation for group in groups for observation in group]
    scores = scorer.score_apart(observations) if observations else []
    each = iter(scores)
    if any(isinstance(score, Exception) for score in scores):
        return [_scored(group, [next(each) for _ in group]) for group in groups]
    return [list(map(ScoredObservation, group, each)) for group in groups]  # type: ignore[arg-type]


def _scored(group: Sequence[Observation], scores: Sequence[Score | Exception]) -> list[ScoredObservation] | Exception:
    """The observations of a group with their scores, or the error that prevents storing the group."""
    faults = []
    for i, score in enumerate(scores):
        if isinstance(score, InvalidBody):
            faults += [fault.within(pointer(i)) for fault in score.faults]
        elif isinstance(score, Exception):
            return score
    if faults:
        return InvalidBody(faults)
    pairs = zip(group, scores, strict=True)
    return [ScoredObservation(observation, score) for observation, score in pairs if isinstance(score, Score)]
