"""The use cases, without HTTP: parse, score, commit, reply.

An array is processed by columns if it is plain: surely valid, with new and different ids. Any other array is processed
item by item. Only then are faults, replays and conflicts described."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

from service.batching import Aside, Batcher
from service.errors import LISTED_FAULTS, BodyTooLarge, Fault, InvalidBody, ServiceError, pointer
from service.prediction.arrays.encoded_body import EncodedBody
from service.prediction.batches import Outcome, ServedModel, Work
from service.prediction.columns import ObservationColumns
from service.prediction.observation import Observation
from service.prediction.record import Record, StoredPrediction
from service.prediction.true_label import TrueLabel

Value = TypeVar("Value")
# The use case, and how the array was processed.
OnArray = Callable[[Literal["predict", "update"], Literal["columns", "items"]], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """The body of a 200 (JSON, or the bytes of it), whether every prediction in it was stored before, and the caller's
    ids for the log line."""

    body: Any
    replayed: bool
    observation_ids: tuple[int | str, ...]


FEW_ITEMS = 64
# The event loop parses a short array by columns itself, because a thread costs more time. Few bytes may hold many items
# of which most columns are left out.
_FEW_BYTES, _FEW_BYTES_OF_A_COLUMN = 16 * 1024, 128 * 1024


class PredictionService:
    """Predicts and updates with one model. `batcher` processes the work of concurrent requests, also of other models; a
    body has at most `max_items` items. `aside` runs the work on a long array outside of the event loop. `on_array` is
    called for each encoded array."""

    def __init__(
        self,
        model: ServedModel,
        batcher: Batcher[Work, Outcome],
        max_items: int,
        aside: Aside,
        on_array: OnArray = lambda use_case, way: None,
    ) -> None:
        self._model = model
        self._batcher = batcher
        self._max_items = max_items
        self._aside = aside
        self._on_array = on_array
        self._few_bytes = min(_FEW_BYTES, _FEW_BYTES_OF_A_COLUMN // max(1, model.observation_array.columns))

    def predict(self, payload: Any) -> Reply:
        """Scores and stores one observation or an array of them, which may be encoded. A known id gets its stored
        prediction. Returns after the commit. Stores nothing of the payload if it raises ServiceError."""
        if isinstance(payload, EncodedBody) and payload.is_array:
            columns = self._by_columns(self._model.observation_array.parse, payload)
            if columns is not None:
                payload.release()
                del payload
                return self._predict_columns(columns)
            self._on_array("predict", "items")
            payload = payload.decode()
        elif isinstance(payload, EncodedBody):
            observation = self._model.observation_array.parse_one(payload.content)
            if observation is not None:
                return self._predict((observation,), is_array=False)
            payload = payload.decode()
        observations = self._parsed(self._model.observations.parse, payload)
        is_array = isinstance(payload, list)
        del payload  # an array of dictionaries takes as much memory as all that follows
        return self._predict(observations, is_array)

    def update(self, payload: Any) -> Reply:
        """Records the true label of one prediction or of an array of them, which may be encoded. Returns after the
        commit. Records nothing of the payload if it raises ServiceError."""
        if isinstance(payload, EncodedBody) and payload.is_array:
            labels = self._by_columns(self._model.label_array.parse, payload)
            if labels is not None:
                payload.release()
                del payload
                self._on_array("update", "columns")
                return self._update(labels, is_array=True)
            self._on_array("update", "items")
            payload = payload.decode()
        elif isinstance(payload, EncodedBody):
            payload = payload.decode()
        labels = self._parsed(self._model.labels.parse, payload)
        is_array = isinstance(payload, list)
        if is_array:
            self._beside(len(labels), partial(self._model.labels.require_one_label_each, labels, payload))
        del payload
        return self._update(labels, is_array)

    def _by_columns(self, parse: Callable[[bytes], Value | None], array: EncodedBody) -> Value | None:
        """The parsed array, or None if it has to be processed item by item."""
        if len(array.content) <= self._few_bytes:
            return parse(array.content)
        return self._aside(partial(parse, array.content))  # type: ignore[no-any-return]

    def _predict_columns(self, columns: ObservationColumns) -> Reply:
        answer = self._submit(Work(self._model, columns=columns), is_array=True)
        if isinstance(answer, bytes):
            self._on_array("predict", "columns")
            return Reply(answer, False, tuple(columns.ids))
        self._on_array("predict", "items")
        return self._predict(self._beside(len(columns), columns.observations), is_array=True)

    def _predict(self, observations: tuple[Observation, ...], is_array: bool) -> Reply:
        stored: list[StoredPrediction] = self._submit(Work(self._model, observations=observations), is_array)  # type: ignore[assignment]
        replayed = bool(stored) and all(prediction.replayed for prediction in stored)
        return self._reply(
            lambda: [prediction.record.answer() for prediction in stored], len(stored), is_array, replayed
        )

    def _update(self, labels: tuple[TrueLabel, ...], is_array: bool) -> Reply:
        records: list[Record] = self._submit(Work(self._model, labels=labels), is_array)  # type: ignore[assignment]
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

    def _submit(self, work: Work, is_array: bool) -> Outcome:
        if not work.observations and not work.labels and work.columns is None:
            return []
        try:
            return self._batcher.submit(work)
        except ServiceError as error:
            if error.faults and not is_array:
                error.faults = tuple(replace(fault, pointer=fault.pointer.removeprefix("/0")) for fault in error.faults)
            raise


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


def _within_item(fault: Fault, i: int) -> Fault:
    return replace(fault, pointer=pointer(i) + fault.pointer, detail=f"item {i}: {fault.detail}")
