"""Emptying the log: only what a dump on the disk already holds."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peewee import Database, ModelDelete, SqliteDatabase

from service.errors import Unavailable
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction
from service.telemetry.log_format import event

_log = logging.getLogger("service")


@dataclass(frozen=True, slots=True)
class LogDump:
    """A file that holds every prediction up to the one with the key `last_id` (0 for an empty log)."""

    path: Path
    rows: int
    last_id: int


class Reset:
    """Empties the log of a session of its own. `dump` writes the log of a database to a file under a name. For one
    caller at a time."""

    def __init__(self, session: Session, dump: Callable[[Database, str], LogDump]) -> None:
        self._session = session
        self._dump = dump
        self.name = name_of(session.database)

    def empty_for_each(self, callers: Sequence[None]) -> list[LogDump | Unavailable]:
        """Empties the log for each of those who ask at the same time; the second finds it empty."""
        outcomes: list[LogDump | Unavailable] = []
        for _ in callers:
            try:
                outcomes.append(self.empty())
            except Unavailable as error:
                outcomes.append(error)
        return outcomes

    def empty(self) -> LogDump:
        """Exports every prediction and label, and then removes what was exported, in one transaction in which nobody
        else writes; returns after its commit. Raises Unavailable, and nothing is removed then."""
        try:
            done = self._session.run(self._export_and_remove)
        finally:
            self._session.close()
        event(_log, logging.WARNING, "reset", rows=done.rows, export=done.path.name)
        return done

    def _export_and_remove(self) -> LogDump:
        database = self._session.database
        _keep_others_from_writing(database)
        done = self._dump(database, self.name)
        ModelDelete(LabelCorrection).where(LabelCorrection.prediction <= done.last_id).execute(database)
        removed = ModelDelete(Prediction).where(Prediction.id <= done.last_id).execute(database)
        if removed != done.rows:
            raise RuntimeError("other rows would be removed than were exported")
        return done


def name_of(database: Database) -> str:
    """The name of a database: that of its file for SQLite, its own for PostgreSQL."""
    return Path(database.database).name if isinstance(database, SqliteDatabase) else str(database.database)


def _keep_others_from_writing(database: Database) -> None:
    """In SQLite a transaction writes alone from its begin; in PostgreSQL it asks for that. Others go on reading."""
    if not isinstance(database, SqliteDatabase):
        database.execute_sql("LOCK TABLE prediction, label_correction IN EXCLUSIVE MODE")
