"""Logs scored batches. The answers of a batch may be written when `append` has returned: all of its rows are committed
then."""

import json
from collections.abc import Sequence
from typing import Any, Self

import pyarrow as pa

from serialize.files.place_error import PlaceError
from serialize.task import Task
from service.bulk.log.logged_batch import LoggedBatch
from service.bulk.scoring.layout import LayoutError
from service.bulk.scoring.observed_rows import ObservationTexts
from service.bulk.scoring.scored import ScoredBatch
from service.errors import Fault, InvalidBody, Unavailable, pointer
from service.prediction.arrays.array_decoder import json_lines
from service.prediction.arrays.rows import row_columns
from service.prediction.columns import ObservationColumns
from service.prediction.observation import ObservationId, parse_id
from service.settings import Settings
from service.storage.bulk.prediction_appender import PredictionAppender
from service.storage.bulk.run_ids import RunIds
from service.storage.connection import database_of
from service.storage.predictions import conflict_fault, is_same
from service.storage.session import Session

_PATIENCE_SECONDS = 30.0
_NO_IDS = "--log needs ids; name their column with --id, or give each line of NDJSON an id and an observation."


class BatchLog:
    """Logs the rows of one model, through a connection of its own. For one caller at a time.

    A batch is logged in several transactions, so that a service on the same database gets its turn."""

    def __init__(self, appender: PredictionAppender, task: Task, version: str) -> None:
        self._appender = appender
        self._task = task
        self._version = version
        self._has_ids = False

    @classmethod
    def of(cls, settings: Settings, task: Task, version: str, run_ids: RunIds | None = None) -> Self:
        """The log of the settings, whose tables exist. It connects when it is first used. `run_ids` is shared by the
        processes of a run, see PredictionAppender. Raises DatabaseError."""
        session = Session(database_of(settings, _PATIENCE_SECONDS), _PATIENCE_SECONDS)
        return cls(PredictionAppender(session, version, task.threshold, run_ids), task, version)

    def append(self, scored: ScoredBatch) -> ScoredBatch:
        """Logs the rows of a batch, and returns the batch as POST /predict answers it: a row whose id the log has with
        the same observation gets its stored answer and counts as replayed; with another observation it has a fault, as
        has a row without an id. Raises LayoutError if no row has an id, and PlaceError if the database cannot be used
        now."""
        ids, batch = self._ids(scored), LoggedBatch(scored, self._task, self._version)
        named = [(row, id_) for row, id_ in enumerate(ids) if id_ is not None]
        for row in sorted({*range(len(ids))} - {row for row, _ in named}):
            batch.refuse(row, _missing_id())
        texts = ObservationTexts(scored.observed)
        start = 0
        while start < len(named):
            rows, ids_of_rows = map(list, zip(*named[start : start + self._appender.rows_at_once], strict=True))
            start += len(rows)
            self._append(batch, rows, ids_of_rows, texts.at(scored.places[rows]))
        return batch.answered()

    def close(self) -> None:
        """Closes the connection."""
        self._appender.close()

    def _ids(self, scored: ScoredBatch) -> Sequence[ObservationId | None]:
        if scored.ids is None:
            if len(scored.places) and not self._has_ids:
                raise LayoutError(_NO_IDS)
            return [None] * len(scored.places)
        self._has_ids = True
        try:
            values: list[Any] = scored.ids.to_pylist()
        except UnicodeDecodeError as error:
            raise PlaceError("The input has an id that is not UTF-8.") from error
        if isinstance(scored.ids.type, pa.JsonType):
            return [None if text is None else json.loads(text) for text in values]
        return values

    def _append(
        self, batch: LoggedBatch, rows: Sequence[int], ids: Sequence[ObservationId], texts: Sequence[str]
    ) -> None:
        """Logs the rows at these places of the batch in one transaction."""
        keys = json_lines(ids)
        first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
        new = range(len(keys)) if len(first) == len(keys) else sorted(first.values())
        observations = ObservationColumns([ids[i] for i in new], [keys[i] for i in new], {}, [texts[i] for i in new])
        scores = batch.scores.at([rows[i] for i in new]).to_columns(self._task)
        try:
            known = self._appender.append(row_columns(self._task, observations, scores))
        except Unavailable as error:
            raise PlaceError(
                f"The log cannot be written to now ({error.reason}). Start the command again; the rows that are in the "
                "log already are found there."
            ) from error
        if not known and len(first) == len(keys):
            return
        for i, (row, key) in enumerate(zip(rows, keys, strict=True)):
            record, before = known.get(key), first[key]
            if record is None and before == i:
                continue  # the row is new
            if not is_same(texts[before] if record is None else record.text, texts[i]):
                batch.refuse(row, conflict_fault(pointer("id"), ids[i]))
            elif record is None:
                batch.repeat(row, rows[before])
            else:
                batch.replay(row, record)


def _missing_id() -> Fault:
    try:
        parse_id(None)
    except InvalidBody as error:
        return error.faults[0]
    raise AssertionError("null was taken for an id")
