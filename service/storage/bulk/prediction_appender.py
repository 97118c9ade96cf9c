"""Appends many predictions to the log in bounded transactions. As for POST /predict, one id has one row."""

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic, sleep
from typing import NamedTuple

from peewee import SqliteDatabase

from service.errors import Unavailable
from service.prediction.columns import RowColumns
from service.prediction.record import Record
from service.storage.array_statements import TableColumns
from service.storage.bulk.new_rows import new_rows
from service.storage.bulk.run_ids import RunIds
from service.storage.session import Session
from service.storage.statements import Statements
from service.storage.tables import Prediction

_ATTEMPTS = 10
_MANY_ROWS = 10_000
_ANALYZE = f"ANALYZE {Prediction._meta.table_name}"


class Pace(NamedTuple):
    """How many rows to append in one call, and how many while others log predictions too."""

    rows: int
    rows_beside_others: int


# A transaction keeps other writers to a SQLite file waiting. In PostgreSQL it keeps the processor and the disk busy.
_SQLITE, _POSTGRESQL = Pace(2000, 1000), Pace(5000, 500)
_REST = 2.0  # the seconds of pause for each second of a call
_SEEN_SECONDS = 1.0  # how long another writer counts as there


class PredictionAppender:
    """Appends the predictions of one model through its own session. For one caller at a time. It leaves room for a
    service on the same database, if the caller appends at most `rows_at_once` rows in one call. Processes that append
    together share `run_ids`; they do not count as others."""

    def __init__(
        self, session: Session, model_version: str, threshold: float | None, run_ids: RunIds | None = None
    ) -> None:
        self._session = session
        self._statements = Statements(session.database)
        self._new_rows = new_rows(session.database)
        self._model_version = model_version
        self._threshold = threshold
        self._run_ids = RunIds() if run_ids is None else run_ids
        self._of_others = 0  # numbers of the column id
        self._appended = 0
        self._seen = -math.inf
        self._pace = _SQLITE if isinstance(session.database, SqliteDatabase) else _POSTGRESQL

    @property
    def rows_at_once(self) -> int:
        """How many rows the next call should have."""
        return self._pace.rows_beside_others if self._others_write() else self._pace.rows

    def append(self, rows: RowColumns) -> dict[str, Record]:
        """Inserts those of n rows with distinct ids whose ids are new, in one transaction, and returns after its commit
        the records of the others, by observation_id. Raises Unavailable if the database cannot store them now;
        repeating is always safe. While others log predictions too, it pauses after the commit."""
        began = monotonic()
        known = self._append(rows)
        self._appended += len(rows.observation_id) - len(known)
        if self._others_write():
            sleep(_REST * (monotonic() - began))
        return known

    def close(self) -> None:
        """Closes the connection. After many rows PostgreSQL counts them first: by the old number it would plan to sort
        the log for each block that is read."""
        if self._appended >= _MANY_ROWS and not isinstance(self._session.database, SqliteDatabase):
            with suppress(Unavailable):
                self._session.run(partial(self._session.database.execute_sql, _ANALYZE))
        self._session.close()

    def _others_write(self) -> bool:
        return monotonic() < self._seen + _SEEN_SECONDS

    def _append(self, rows: RowColumns) -> dict[str, Record]:
        columns: TableColumns = {
            name: column for name, column in zip(rows._fields, rows, strict=True) if column is not None
        }
        known: dict[str, Record] = {}
        for _ in range(_ATTEMPTS):
            keys, found = self._session.run(partial(self._insert_or_read, columns))
            known |= found
            if len(found) == len(keys):
                return known
            erased = {key for key in keys if key not in found}  # between the two statements
            columns = _rows_of(columns, erased)
        raise Unavailable("A prediction was erased while it was asked for; try again.")

    def _insert_or_read(self, columns: TableColumns) -> tuple[Sequence[str], dict[str, Record]]:
        """Within a transaction: the ids that the log had already, and the records of those that it still has."""
        of_others = self._run_ids.take(self._new_rows.newest_id(), len(columns["observation_id"]))
        if of_others > self._of_others:
            self._of_others, self._seen = of_others, monotonic()
        keys = self._new_rows.insert(columns, self._threshold, self._model_version, datetime.now(UTC))
        if self._new_rows.spares_known_ids:
            self._run_ids.give_back(len(keys))
        return keys, {row["observation_id"]: Record.of(row) for row in self._statements.read(sorted(keys))}


def _rows_of(columns: TableColumns, keys: set[str]) -> TableColumns:
    places = [place for place, key in enumerate(columns["observation_id"]) if key in keys]
    return {name: [column[place] for place in places] for name, column in columns.items()}
