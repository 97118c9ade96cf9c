"""Scores and stores the work of concurrent requests together: one call of each model and one transaction for a batch.
While the champion changes, a batch may have work for two models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from serialize.task import Label
from service.errors import InvalidBody, ServiceError, Unavailable, pointer
from service.prediction.observation import Observation, ObservationParser
from service.prediction.record import Record, ScoredObservation, StoredPrediction
from service.prediction.scoring import Score, Scorer
from service.prediction.true_label import LabelParser, TrueLabel

Outcome = list[StoredPrediction] | list[Record]

_Predictions = Sequence[Sequence[ScoredObservation]]
_Labels = Sequence[Sequence[TrueLabel]]
_Stored = tuple[list[list[StoredPrediction] | ServiceError], list[list[Record] | ServiceError]]
# Does work in one transaction and returns after its commit.
_Transaction = Callable[[Callable[[], Any]], Any]
# The number of requests in a batch, the seconds that its commit took, and the version and class of its new predictions.
OnBatch = Callable[[int, float, list[tuple[str, Label | None]]], None]


class Writer(Protocol):
    """Stores groups of predictions and of labels of one model: see PredictionLog."""

    def commit(self, predictions: _Predictions, labels: _Labels) -> _Stored:
        """In a transaction of its own; returns after its commit."""

    def store(self, predictions: _Predictions, labels: _Labels) -> _Stored:
        """Within the caller's transaction."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """What a request needs of the model that serves when it begins: the version, the parsers, the scorer, and the
    writer of its rows."""

    version: str
    observations: ObservationParser
    labels: LabelParser
    scorer: Scorer
    log: Writer


@dataclass(frozen=True, slots=True)
class Work:
    """The parsed content of one request: an item of a batch."""

    model: ServedModel
    observations: tuple[Observation, ...] = ()
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
                parts[0].keep(parts[0].model.log.commit(*parts[0].to_store))
            else:
                stored = self._transaction(lambda: [part.model.log.store(*part.to_store) for part in parts])
                for part, entries in zip(parts, stored, strict=True):
                    part.keep(entries)
        except Unavailable as error:
            self._on_batch(len(batch), perf_counter() - began, [])
            return [error] * len(batch)
        self._on_batch(len(batch), perf_counter() - began, [new for part in parts for new in part.new_classes()])
        if len(parts) == 1:
            return parts[0].outcomes
        outcomes: dict[int, Outcome | Exception] = {}
        for part, places in zip(parts, by_model.values(), strict=True):
            outcomes.update(zip(places, part.outcomes, strict=True))
        return [outcomes[place] for place in range(len(batch))]


class _Part:
    """The work of a batch for one model: scored at once, then stored. `to_store` are the groups of predictions and of
    labels, `outcomes` the result for each work."""

    def __init__(self, model: ServedModel, works: Sequence[Work]) -> None:
        self.model = model
        scored = _score(model.scorer, [work.observations for work in works])
        groups = {i: group for i, group in enumerate(scored) if not isinstance(group, Exception)}
        self._labelled = {i: work.labels for i, work in enumerate(works) if work.labels}
        self._predicted = [i for i in groups if groups[i]]
        self.to_store = [groups[i] for i in self._predicted], list(self._labelled.values())
        self.outcomes: list[Outcome | Exception] = [group if isinstance(group, Exception) else [] for group in scored]
        self._stored: Sequence[list[StoredPrediction] | ServiceError] = ()

    def keep(self, entries: _Stored) -> None:
        """Takes what was stored."""
        self._stored, records = entries
        pairs = (*zip(self._predicted, self._stored, strict=True), *zip(self._labelled, records, strict=True))
        for i, outcome in pairs:
            self.outcomes[i] = outcome

    def new_classes(self) -> list[tuple[str, Label | None]]:
        """The version and the class of each new prediction."""
        groups = [group for group in self._stored if isinstance(group, list)]
        new = [each.record.score.predicted_class for group in groups for each in group if not each.replayed]
        return [(self.model.version, label) for label in new]


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
