"""Which model is the champion, and the history of promotions. A promotion happens whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from peewee import ModelDelete, SqliteDatabase

from service.errors import ModelConflict
from service.storage.models.store import REGISTERED
from service.storage.models.tables import Champion, Promotion, RegisteredModel, ReleaseStep
from service.storage.session import Session

_ONLY = 1  # the id of the champion's row


@dataclass(frozen=True, slots=True)
class Promoted:
    """An entry of the history. `undoes` is the id of the entry that a rollback undid."""

    id: int
    from_version: str | None
    to_version: str
    promoted_at: datetime
    promoted_by: str
    reason: str | None
    figures: str | None
    undoes: int | None


class Promotions:
    """Reads and changes the champion through its own session. For one caller at a time. Every method raises Unavailable
    if the database cannot be used now."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._database = session.database

    def champion(self) -> str | None:
        """The version that is to serve, or None if none was ever promoted."""
        return self._session.read(self._champion)

    def watched_champion(self) -> str | None:
        """The same, on a connection that stays open: for a caller that asks again and again."""
        return self._session.watch(self._champion)

    def promote(
        self,
        version: str,
        expected: str | None,
        by: str,
        reason: str | None = None,
        figures: Mapping[str, Any] | None = None,
        undoes: int | None = None,
    ) -> bool:
        """Makes a registered model the champion, if `expected` still is (None: if there is none), and adds an entry to
        the history, in one transaction. Returns False, and changes nothing, if another is, or if the model is not
        registered."""
        entry = {
            "from_version": expected,
            "to_version": version,
            "promoted_by": by,
            "reason": reason,
            "figures": None if figures is None else json.dumps(figures),
            "undoes": undoes,
        }
        return self._session.run(lambda: self._promote(entry))

    def release(self, version: str, machine: str, by: str) -> bool:
        """What a release step does, in one transaction: promotes a registered model, unless this machine brought it in
        its own last step (a restart), or the last step of any machine did (another machine of the same deployment).
        Returns whether it promoted. Raises ModelConflict if the model is not registered."""
        return self._session.run(lambda: self._release(version, machine, by))

    def release_replaces(self, version: str, machine: str) -> bool:
        """Whether a release step that brings a version now would replace the champion."""
        return self._session.read(lambda: self._champion() not in (None, version) and self._is_new(version, machine))

    def history(self) -> list[Promoted]:
        """All promotions, the oldest first."""
        query = Promotion.select().order_by(Promotion.id)
        return self._session.read(lambda: [_promoted(row) for row in query.execute(self._database)])

    def newest(self, limit: int) -> list[Promoted]:
        """The newest promotions, the newest first."""
        query = Promotion.select().order_by(Promotion.id.desc()).limit(limit)
        return self._session.read(lambda: [_promoted(row) for row in query.execute(self._database)])

    def _champion(self, *, locks: bool = False) -> str | None:
        """The champion. PostgreSQL can lock it, so that no other promotion comes before the end of the transaction."""
        query = Champion.select(Champion.version).where(Champion.id == _ONLY)
        if locks and not isinstance(self._database, SqliteDatabase):
            query = query.for_update()
        return next((version for (version,) in query.tuples().execute(self._database)), None)

    def _promote(self, entry: Mapping[str, Any]) -> bool:
        version, expected = entry["to_version"], entry["from_version"]
        if not self._is_registered(version):
            return False
        if expected is None:
            row = {"id": _ONLY, "version": version}
            done = Champion.insert(row).on_conflict_ignore().as_rowcount().execute(self._database)
        else:
            changed = Champion.update(version=version)
            done = changed.where(Champion.id == _ONLY, Champion.version == expected).execute(self._database)
        if done:
            Promotion.insert({**entry, "promoted_at": datetime.now(UTC)}).execute(self._database)
        return bool(done)

    def _is_registered(self, version: str) -> bool:
        """Whether the model may serve. PostgreSQL locks its row, so that it is not retired meanwhile."""
        query = RegisteredModel.select(RegisteredModel.state).where(RegisteredModel.version == version)
        if not isinstance(self._database, SqliteDatabase):
            query = query.for_update()
        return [state for (state,) in query.tuples().execute(self._database)] == [REGISTERED]

    def _brought(self) -> list[tuple[str, str]]:
        """The machines with the versions that they brought, the newest last."""
        steps = ReleaseStep.select(ReleaseStep.machine, ReleaseStep.version).order_by(ReleaseStep.id)
        return list(steps.tuples().execute(self._database))

    def _is_new(self, version: str, machine: str) -> bool:
        brought = self._brought()
        return dict(brought).get(machine) != version and (not brought or brought[-1][1] != version)

    def _release(self, version: str, machine: str, by: str) -> bool:
        if not isinstance(self._database, SqliteDatabase):
            self._database.execute_sql("LOCK TABLE release_step IN SHARE ROW EXCLUSIVE MODE")
        if not self._is_registered(version):
            raise ModelConflict(f"Model {version} was retired meanwhile; repeat the release step.")
        champion, is_new = self._champion(locks=True), self._is_new(version, machine)
        entry = {"from_version": champion, "to_version": version, "promoted_by": by, "reason": "release"}
        promoted = (champion is None or (is_new and champion != version)) and self._promote(entry)
        if dict(self._brought()).get(machine) != version:
            ModelDelete(ReleaseStep).where(ReleaseStep.machine == machine).execute(self._database)
            step = {"machine": machine, "version": version, "released_at": datetime.now(UTC)}
            ReleaseStep.insert(step).execute(self._database)
        return promoted


def _promoted(row: Promotion) -> Promoted:
    return Promoted(**{name: getattr(row, name) for name in Promoted.__slots__})
