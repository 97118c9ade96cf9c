"""Records the labels of files. How far a run is, is stored in the transaction of the labels, so that a run that was
killed goes on behind the last label that it recorded."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from peewee import ModelDelete, SqliteDatabase

from service.errors import ServiceError
from service.prediction.true_label import TrueLabel
from service.storage.array_statements import array_statements
from service.storage.labels import LabelLog, LabelOutcome
from service.storage.session import Session
from service.storage.statements import Statements
from service.storage.tables import LabelFile

# A service that waits for the lock of a SQLite file tries again after a millisecond at most.
_PAUSE_SECONDS = 0.002


class Position(NamedTuple):
    """A place in the input: the number of a file, and the number of the next row in it, both from 0 on."""

    file: int
    next_row: int


class LabelFileLog:
    """Records labels through its own session. `digest` stands for the input and the arguments of a run. For one caller
    at a time. Every method raises Unavailable if the database cannot be used now."""

    def __init__(self, session: Session, digest: str, *, regression: bool) -> None:
        self._session = session
        self._database = session.database
        self._digest = digest
        statements = Statements(session.database)
        self._labels = LabelLog(statements, array_statements(session.database), regression=regression)
        self._at = Position(0, 0)
        self._begun_at = Position(0, 0)
        self._late: set[str] = set()

    def begin(self) -> Position:
        """Where an earlier run with the same input and arguments ended before its time; otherwise the beginning."""
        self._begun_at = self._at = self._session.run(self._begin)
        return self._at

    def take(self, labels: Sequence[TrueLabel], end: Position) -> list[LabelOutcome]:
        """Records the next labels in order, of rows before `end`, and returns the outcome of each after the commit. If
        `end` is not behind the place where the run began, an earlier run recorded them: they are checked again, and
        only predictions that have no label get theirs. Raises ServiceError if another run records the same input."""
        if end <= self._begun_at:
            return self._run(lambda: self._labels.record_each(labels, self._late))
        outcomes: list[LabelOutcome] = []

        def record() -> list[LabelOutcome]:
            nonlocal outcomes
            if not self._move(end):
                if outcomes and self._position() == end:  # the connection broke after the commit
                    return outcomes
                raise ServiceError("Another run records the labels of the same input; wait until it ends.")
            outcomes = self._labels.record_each(labels)
            return outcomes

        self._run(record)
        self._at = end
        return outcomes

    def finish(self) -> None:
        """Notes that all labels are recorded; the same input may then be given again from its beginning."""
        done = ModelDelete(LabelFile).where(LabelFile.digest == self._digest)
        self._session.run(lambda: done.execute(self._database))

    def _run(self, record: Callable[[], list[LabelOutcome]]) -> list[LabelOutcome]:
        """Runs a transaction, and then pauses, so that a service can write to the SQLite file."""
        outcomes = self._session.run(record)
        if isinstance(self._database, SqliteDatabase):
            time.sleep(_PAUSE_SECONDS)
        return outcomes

    def _begin(self) -> Position:
        first = {"digest": self._digest, "file": 0, "next_row": 0, "updated_at": datetime.now(UTC)}
        new = LabelFile.insert(first).on_conflict(conflict_target=[LabelFile.digest], action="nothing")
        list(new.returning(LabelFile.digest).execute(self._database))
        return self._position() or Position(0, 0)

    def _position(self) -> Position | None:
        query = LabelFile.select(LabelFile.file, LabelFile.next_row).where(LabelFile.digest == self._digest)
        rows = list(query.tuples().execute(self._database))
        return Position(*rows[0]) if rows else None

    def _move(self, end: Position) -> bool:
        """Stores that the run is at `end`. Returns False if it is not where this object left it."""
        here = (
            LabelFile.digest == self._digest,
            LabelFile.file == self._at.file,
            LabelFile.next_row == self._at.next_row,
        )
        values = {"file": end.file, "next_row": end.next_row, "updated_at": datetime.now(UTC)}
        return bool(LabelFile.update(values).where(*here).execute(self._database))
