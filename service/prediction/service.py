"""The use cases, without HTTP: parse, score, commit, reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

from serialize.task import Label
from service.batching import Aside, Batcher, Process
from service.errors import LISTED_FAULTS, BodyTooLarge, Fault, InvalidBody, ServiceError, Unavailable, pointer
from service.prediction.observation import Observation, ObservationParser
from service.prediction.record import Record, ScoredObservation, StoredPrediction
from service.prediction.scoring import Score, Scorer
from service.prediction.true_label import LabelParser, TrueLabel


@dataclass(frozen=True, slots=True)
class Reply:
    """The body of a 200, whether every prediction in it was stored before, and the caller's ids for the log line."""

    body: Any
    replayed: bool
    observation_ids: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """The parsed content of one request: an item of a batch."""

    observations: tuple[Observation, ...] = ()
    labels: tuple[TrueLabel, ...] = ()


FEW_ITEMS = 64

_Outcome = list[StoredPrediction] | list[Record]

# Stores groups of predictions and of labels in one transaction: see PredictionLog.commit.
Commit = Callable[
    [Sequence[Sequence[ScoredObservation]], Sequence[Sequence[TrueLabel]]],
    tuple[list[list[StoredPrediction] | ServiceError], list[list[Record] | ServiceError]],
]
# The number of requests in a batch, the seconds that its commit took, and the classes of its new predictions.
OnBatch = Callable[[int, float, list[Label | None]], None]


class PredictionService:
    """Predicts and updates. `commit` stores a batch and returns after its commit; `batched` makes the batcher for
    concurrent requests; a body has at most `max_items` items; `on_batch` is called after every batch. `aside` runs the
    work on a long array outside of the event loop."""

    def __init__(
        self,
        observations: ObservationParser,
        labels: LabelParser,
        scorer: Scorer,
        commit: Commit,
        batched: Callable[[Process[Any, Any]], Batcher[Any, Any]],
        max_items: int,
        on_batch: OnBatch,
        aside: Aside,
    ) -> None:
        self._observations = observations
        self._labels = labels
        self._scorer = scorer
        self._commit = commit
        self._batcher: Batcher[_Work, _Outcome] = batched(self._process)
        self._max_items = max_items
        self._on_batch = on_batch
        self._aside = aside

    def predict(self, payload: Any) -> Reply:
        """Scores and stores one observation or an array of them. A known id gets its stored prediction. Returns after
        the commit. Stores nothing of the payload if it raises ServiceError."""
        observations = self._parsed(self._observations.parse, payload)
        is_array = isinstance(payload, list)
        del payload  # an array of dictionaries takes as much memory as all that follows
        stored: list[StoredPrediction] = self._submit(_Work(observations=observations), is_array)  # type: ignore[assignment]
        replayed = bool(stored) and all(prediction.replayed for prediction in stored)
        return self._reply(
            lambda: [prediction.record.answer() for prediction in stored], len(stored), is_array, replayed
        )

    def update(self, payload: Any) -> Reply:
        """Records the true label of one prediction or of an array of them. Returns after the commit. Records nothing
        of the payload if it raises ServiceError."""
        labels = self._parsed(self._labels.parse, payload)
        is_array = isinstance(payload, list)
        if is_array:
            self._beside(len(labels), partial(self._labels.require_one_label_each, labels, payload))
        del payload
        records: list[Record] = self._submit(_Work(labels=labels), is_array)  # type: ignore[assignment]
        return self._reply(lambda: [record.answer_with_observation() for record in records], len(records), is_array)

    def _parsed(self, parse: Callable[[Any], Any], payload: Any) -> tuple[Any, ...]:
        if not isinstance(payload, list):
            return (parse(payload),)
        if len(payload) > self._max_items:
            raise BodyTooLarge(f"The array has {len(payload)} items; send at most {self._max_items} at once.")
        return self._beside(len(payload), partial(_parsed_items, parse, payload))  # type: ignore[no-any-return]

    def _beside(self, items: int, job: Callable[[], Any]) -> Any:
        """The result of a job, which runs outside of the event loop if it has many items."""
        return job() if items <= FEW_ITEMS else self._aside(job)

    def _reply(
        self, bodies_of: Callable[[], list[dict[str, Any]]], items: int, is_array: bool, replayed: bool = False
    ) -> Reply:
        bodies = self._beside(items, bodies_of)
        ids = tuple(body["observation_id"] for body in bodies)
        return Reply(bodies if is_array else bodies[0], replayed, ids)

    def _submit(self, work: _Work, is_array: bool) -> _Outcome:
        if not work.observations and not work.labels:
            return []
        try:
            return self._batcher.submit(work)
        except ServiceError as error:
            if error.faults and not is_array:
                error.faults = tuple(replace(fault, pointer=fault.pointer.removeprefix("/0")) for fault in error.faults)
            raise

    def _process(self, batch: list[_Work]) -> Sequence[_Outcome | Exception]:
        """Serves a batch with one scoring call and one transaction. An error affects only its own request."""
        scored = self._score([work.observations for work in batch])
        groups = {i: group for i, group in enumerate(scored) if not isinstance(group, Exception)}
        labelled = {i: work.labels for i, work in enumerate(batch) if work.labels}
        predicted = [i for i in groups if groups[i]]
        began = perf_counter()
        try:
            stored, records = self._commit([groups[i] for i in predicted], list(labelled.values()))
        except Unavailable as error:
            self._on_batch(len(batch), perf_counter() - began, [])
            return [error] * len(batch)
        self._on_batch(len(batch), perf_counter() - began, _new_classes(stored))
        outcomes: list[_Outcome | Exception] = [group if isinstance(group, Exception) else [] for group in scored]
        for i, outcome in (*zip(predicted, stored, strict=True), *zip(labelled, records, strict=True)):
            outcomes[i] = outcome
        return outcomes

    def _score(self, groups: Sequence[Sequence[Observation]]) -> list[list[ScoredObservation] | Exception]:
        observations = [observation for group in groups for observation in group]
        scores = self._scorer.score_apart(observations) if observations else []
        each = iter(scores)
        if any(isinstance(score, Exception) for score in scores):
            return [_scored(group, [next(each) for _ in group]) for group in groups]
        return [list(map(ScoredObservation, group, each)) for group in groups]  # type: ignore[arg-type]


def _parsed_items(parse: Callable[[Any], Any], payload: list[Any]) -> tuple[Any, ...]:
    parsed, faults = [], []
    for i, item in enumerate(payload):
        try:
            parsed.append(parse(item))
        except InvalidBody as error:
            faults += [_within_item(fault, i) for fault in error.faults]
        if len(faults) >= LISTED_FAULTS:
            break
    if faults:
        raise InvalidBody(faults)
    return tuple(parsed)


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


def _new_classes(groups: Sequence[list[StoredPrediction] | ServiceError]) -> list[Label | None]:
    stored = [group for group in groups if isinstance(group, list)]
    return [each.record.score.predicted_class for group in stored for each in group if not each.replayed]


def _within_item(fault: Fault, i: int) -> Fault:
    return replace(fault, pointer=pointer(i) + fault.pointer, detail=f"item {i}: {fault.detail}")
