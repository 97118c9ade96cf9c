"""Deletes predictions with their labels: one by its id, all before a time, or everything that a dump holds."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from peewee import Database, ModelDelete, SqliteDatabase

from service.errors import Fault, Unavailable, UnknownObservation, pointer
from service.prediction.filter import PredictionFilter
from service.storage.feeds.settled import Settled
from service.storage.feeds.tables import LabelEvent
from service.storage.reading.log_reader import LogReader
from service.storage.session import Session
from service.storage.tables import LabelCorrection, LabelFile, Prediction
from service.telemetry.log_format import event

_log = logging.getLogger("service")

_ROWS_AT_ONCE = 500
_LEAST_PAUSE_SECONDS = 0.002


class Erasure:
    """Erases predictions through its own session. For one caller at a time."""

    def __init__(self, session: Session, reader: LogReader) -> None:
        self._session = session
        self._database: Database = session.database
        self._reader = reader

    def one(self, key: str) -> str:
        """Erases the prediction with an id (canonical JSON) and returns it as JSON, after the commit. The id is free
        then. Raises UnknownObservation or Unavailable, and nothing is erased."""
        try:
            erased = self._session.run(lambda: self._take(key))
        finally:
            self._session.close()
        if erased is None:
            where = pointer("observation_id")
            fault = Fault.of_id(where, json.loads(key), "does not exist", "the id of a prediction")
            raise UnknownObservation(fault.detail, [fault])
        return erased

    def count_before(self, moment: datetime) -> int:
        """The number of predictions made before a moment."""
        query = Prediction.select().where(Prediction.created_at < moment)
        return int(self._session.read(lambda: query.count(self._database)))

    def erase_before(self, moment: datetime, exported: Settled | None = None) -> Iterator[int]:
        """Erases the predictions made before a moment, up to 500 per transaction, and yields the number after each
        commit. With `exported`, it erases only those that the feeds hold up to these ids, with all their labels. It
        pauses between transactions, so that the service can write. Raises Unavailable."""
        after, end = 0, self._end(0)
        while end is not None and (exported is None or after < exported.predictions):
            began = time.monotonic()
            erased = self._session.run(partial(self._erase_between, after, end, moment, exported))
            yield erased
            time.sleep(max(_LEAST_PAUSE_SECONDS, time.monotonic() - began) if erased else 0)
            after, end = end, self._end(end)
        self._session.close()

    def _take(self, key: str) -> str | None:
        chosen = Prediction.select(Prediction.id).where(Prediction.observation_id == key)
        if not list(self._locking(chosen).tuples().execute(self._database)):
            return None
        rows = self._reader.older(PredictionFilter(observation_id=key), size=1).rows
        if not rows:
            return None
        id_ = int(rows[0].id)
        erased = rows[0].line_with(self._reader.corrections(id_, id_).get(id_, []))
        ModelDelete(LabelCorrection).where(LabelCorrection.prediction == id_).execute(self._database)
        ModelDelete(Prediction).where(Prediction.id == id_).execute(self._database)
        return erased

    def _locking(self, rows: Any) -> Any:
        """Locks rows in PostgreSQL, in the same order as /update. In SQLite the transaction is the only writer."""
        return rows.for_update() if self._database.for_update else rows

    def _end(self, after: int) -> int | None:
        """The last of the next 500 keys; None at the end."""
        keys = Prediction.select(Prediction.id).where(Prediction.id > after).order_by(Prediction.id)
        found: list[Any] = self._session.read(lambda: list(keys.limit(_ROWS_AT_ONCE).tuples().execute(self._database)))
        return found[-1][0] if found else None

    def _erase_between(self, after: int, end: int, moment: datetime, exported: Settled | None) -> int:
        last = end if exported is None else min(end, exported.predictions)
        between = (Prediction.id > after) & (Prediction.id <= last) & (Prediction.created_at < moment)
        chosen = Prediction.select(Prediction.id).where(between).order_by(Prediction.id)
        ids = [id_ for (id_,) in self._locking(chosen).tuples().execute(self._database)]
        if exported is not None:
            newly = self._labelled_after(exported.labels, ids)
            ids = [id_ for id_ in ids if id_ not in newly]
        if ids:
            ModelDelete(LabelCorrection).where(LabelCorrection.prediction.in_(ids)).execute(self._database)
            ModelDelete(Prediction).where(Prediction.id.in_(ids)).execute(self._database)
        return len(ids)

    def _labelled_after(self, last_label: int, ids: Sequence[int]) -> set[int]:
        """Which of these rows, which are locked, have a label after the one with this id. The statement begins when the
        rows are locked, so it sees all their labels, and no other can come before the end of the transaction."""
        found = LabelEvent.select(LabelEvent.prediction_id).distinct()
        chosen = found.where(LabelEvent.prediction_id.in_(ids), LabelEvent.id > last_label)
        return {id_ for (id_,) in chosen.tuples().execute(self._database)}


@dataclass(frozen=True, slots=True)
class LogDump:
    """A file that holds every prediction up to the one with the key `last_id` (0 for an empty log)."""

    path: Path
    rows: int
    last_id: int


class Reset:
    """Empties the log through its own session. `dump` writes the log to a file. For one caller at a time."""

    def __init__(self, session: Session, dump: Callable[[Database, str], LogDump]) -> None:
        self._session = session
        self._dump = dump
        self.name = name_of(session.database)

    def empty_for_each(self, callers: Sequence[None]) -> list[LogDump | Unavailable]:
        """Empties the log once for each concurrent caller; the second finds it empty."""
        outcomes: list[LogDump | Unavailable] = []
        for _ in callers:
            try:
                outcomes.append(self.empty())
            except Unavailable as error:
                outcomes.append(error)
        return outcomes

    def empty(self) -> LogDump:
        """Dumps all predictions and labels and deletes them, in one transaction that excludes other writers; returns
        after its commit. Raises Unavailable, and nothing is deleted."""
        try:
            done = self._session.run(self._export_and_remove)
        finally:
            self._session.close()
        event(_log, logging.WARNING, "reset", rows=done.rows, export=done.path.name)
        return done

    def _export_and_remove(self) -> LogDump:
        database = self._session.database
        if not isinstance(database, SqliteDatabase):  # a SQLite transaction excludes other writers from its beginning
            database.execute_sql("LOCK TABLE prediction, label_correction IN EXCLUSIVE MODE")
        done = self._dump(database, self.name)
        ModelDelete(LabelCorrection).where(LabelCorrection.prediction <= done.last_id).execute(database)
        ModelDelete(LabelFile).execute(database)  # none of their labels is recorded any more
        removed = ModelDelete(Prediction).where(Prediction.id <= done.last_id).execute(database)
        if removed != done.rows:
            raise RuntimeError("the deleted rows are not the dumped rows")
        return done


def name_of(database: Database) -> str:
    """The file name of a SQLite database, or the name of a PostgreSQL database."""
    return Path(database.database).name if isinstance(database, SqliteDatabase) else str(database.database)
