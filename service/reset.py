"""Emptying the log: only by its name, and only what lies in an export by then."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peewee import Database, ModelDelete, SqliteDatabase

from service.errors import Fault, InvalidBody, Unavailable, pointer, shown
from service.export import Export, export
from service.logs import event
from service.models import LabelCorrection, Prediction
from service.observation import members_of
from service.session import Session

_log = logging.getLogger("service")

_EXPECTED = "the name of the service's own database, as DATABASE_URL has it at its end"


class Reset:
    """Empties the log that a session of its own leads to; `folder` takes the exports. For one caller at a time."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._name = name_of(session.database)

    def require_name(self, payload: Any) -> None:
        """Raises InvalidBody unless the payload repeats the name of the database; the message does not tell it."""
        members, faults = members_of(payload, ("database",))
        name = members.get("database")
        if "database" in members and name != self._name:
            detail = f"database: expected {_EXPECTED}; got {shown(name)}"
            faults.append(Fault(pointer("database"), detail, name, _EXPECTED))
        if faults:
            raise InvalidBody(faults)

    def empty_for_each(self, callers: Sequence[None]) -> list[Export | Unavailable]:
        """Empties the log for each of those who ask at the same time; the second finds it empty."""
        outcomes: list[Export | Unavailable] = []
        for _ in callers:
            try:
                outcomes.append(self.empty())
            except Unavailable as error:
                outcomes.append(error)
        return outcomes

    def empty(self) -> Export:
        """Exports every prediction and label, and then removes what was exported, in one transaction in which nobody
        else writes; returns after its commit. Raises Unavailable, and nothing is removed then."""
        try:
            done = self._session.run(self._export_and_remove)
        finally:
            self._session.close()
        event(_log, logging.WARNING, "reset", rows=done.rows, export=done.path.name)
        return done

    def _export_and_remove(self) -> Export:
        database = self._session.database
        _keep_others_from_writing(database)
        done = export(database, self._folder, self._name)
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
