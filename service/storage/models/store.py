"""Models and their files in the database: written in parts, read only if they are complete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from peewee import ModelDelete, SqliteDatabase, fn

from service.storage.models.tables import Champion, ModelFile, RegisteredModel
from service.storage.session import Session

PART_BYTES = 4 * 1024 * 1024
_PARTS_AT_ONCE = 4

# The columns of a list of models; a manifest is large.
LISTED = ("version", "name", "state", "registered_at", "registered_by", "trained_until", "note")

INCOMING, REGISTERED, REFUSED, RETIRED = "incoming", "registered", "refused", "retired"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row of the table `model`. The files of a model with a `url` are there, and not in the database. `verdict` is
    what the gate said of it, as JSON."""

    version: str
    name: str
    format: int
    manifest: bytes
    signature: str
    state: str
    registered_at: datetime
    registered_by: str
    trained_until: int | None
    note: str | None
    url: str | None = None
    verdict: str | None = None


class ModelStore:
    """Reads and writes models through its own session. For one caller at a time. Every method raises Unavailable if
    the database cannot be used now."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._database = session.database

    def add(self, model: StoredModel) -> None:
        """Notes a model whose files will follow. One that is registered keeps its row; one that is known otherwise
        keeps its manifest and signature, and its verdict if there is no new one."""
        row = {name: getattr(model, name) for name in StoredModel.__slots__}
        kept = ("version", "manifest", "signature", *(("verdict",) if model.verdict is None else ()))
        changed = {name: value for name, value in row.items() if name not in kept}
        insert = RegisteredModel.insert(row).on_conflict(
            conflict_target=[RegisteredModel.version], update=changed, where=RegisteredModel.state != REGISTERED
        )
        self._session.run(lambda: insert.execute(self._database))

    def add_file(self, version: str, name: str, content: bytes) -> None:
        """Stores a file of a model in parts, each in a transaction of its own. Parts that are there stay as they
        are."""
        known = set(self._session.read(lambda: self._parts(version, name)))
        for part, start in enumerate(range(0, max(1, len(content)), PART_BYTES)):
            if part not in known:
                self._session.run(partial(self._add_part, version, name, part, content[start : start + PART_BYTES]))

    def complete(self, version: str, url: str | None = None) -> bool:
        """Makes a model whose files are all there, or at this URL, registered. Returns False, and changes nothing, if
        it was retired meanwhile."""
        in_time = (RegisteredModel.version == version) & RegisteredModel.state.in_([INCOMING, REGISTERED])
        update = RegisteredModel.update(state=REGISTERED, url=url).where(in_time)
        return bool(self._session.run(lambda: update.execute(self._database)))

    def retire(self, version: str) -> bool:
        """Makes a model retired and deletes its files, some parts in each transaction. Its manifest stays, because
        reports on its predictions need it. Returns False, and changes nothing, if it is the champion."""
        if not self._session.run(lambda: self._retire(version)):
            return False
        while self._session.run(lambda: self._remove_retired_parts(version)):
            pass
        return True

    def replace_signature(self, version: str, signature: str) -> None:
        """Gives a model another signature."""
        update = RegisteredModel.update(signature=signature).where(RegisteredModel.version == version)
        self._session.run(lambda: update.execute(self._database))

    def replace_verdict(self, version: str, verdict: str) -> None:
        """Gives a model another verdict, which is JSON."""
        update = RegisteredModel.update(verdict=verdict).where(RegisteredModel.version == version)
        self._session.run(lambda: update.execute(self._database))

    def remove_files(self, version: str) -> None:
        """Deletes the files of a model."""
        self._session.run(lambda: self._remove_files(version))

    def models(self) -> list[StoredModel]:
        """All models, the newest first."""
        query = RegisteredModel.select().order_by(RegisteredModel.registered_at.desc(), RegisteredModel.version)
        return self._session.read(lambda: [_stored(row) for row in query.execute(self._database)])

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """What is LISTED of the newest models."""
        columns = [getattr(RegisteredModel, name) for name in LISTED]
        newest = RegisteredModel.registered_at.desc(), RegisteredModel.version
        query = RegisteredModel.select(*columns).order_by(*newest).limit(limit)
        return self._session.read(lambda: list(query.dicts().execute(self._database)))

    def model(self, version: str) -> StoredModel | None:
        """The model of a version, or None."""
        query = RegisteredModel.select().where(RegisteredModel.version == version)
        return next(iter(self._session.read(lambda: [_stored(row) for row in query.execute(self._database)])), None)

    def file(self, version: str, name: str) -> bytes | None:
        """The content of a file, or None if no part of it is there. Whether it is whole shows in its digest."""
        parts = self._session.read(lambda: self._parts(version, name))
        if not parts:
            return None
        return b"".join(self._session.read(partial(self._part, version, name, part)) for part in parts)

    def number_of_parts(self, version: str) -> int:
        """How many parts the files of a model have together."""
        query = ModelFile.select(fn.COUNT(ModelFile.part)).where(ModelFile.version == version)
        return int(self._session.read(lambda: query.scalar(self._database)))

    def _parts(self, version: str, name: str) -> Sequence[int]:
        query = ModelFile.select(ModelFile.part).where(ModelFile.version == version, ModelFile.name == name)
        return [part for (part,) in query.order_by(ModelFile.part).tuples().execute(self._database)]

    def _part(self, version: str, name: str, part: int) -> bytes:
        query = ModelFile.select(ModelFile.bytes).where(
            ModelFile.version == version, ModelFile.name == name, ModelFile.part == part
        )
        return b"".join(bytes(content) for (content,) in query.tuples().execute(self._database))

    def _add_part(self, version: str, name: str, part: int, content: bytes) -> None:
        row = {"version": version, "name": name, "part": part, "bytes": content}
        ModelFile.insert(row).on_conflict_ignore().execute(self._database)

    def _locked_state(self, version: str) -> str | None:
        """The state of a model. PostgreSQL first waits for another transaction that has locked the row, because a
        statement sees only what was committed before it began."""
        query = RegisteredModel.select(RegisteredModel.state).where(RegisteredModel.version == version)
        if not isinstance(self._database, SqliteDatabase):
            query = query.for_update()
        return next((state for (state,) in query.tuples().execute(self._database)), None)

    def _retire(self, version: str) -> bool:
        self._locked_state(version)
        update = RegisteredModel.update(state=RETIRED).where(RegisteredModel.version == version)
        update = update.where(RegisteredModel.version.not_in(Champion.select(Champion.version)))
        return bool(update.execute(self._database))

    def _remove_retired_parts(self, version: str) -> bool:
        """Deletes some parts of a model, unless it is registered again. Returns whether there were any."""
        if self._locked_state(version) != RETIRED:
            return False
        keys = ModelFile.select(ModelFile.name, ModelFile.part).where(ModelFile.version == version)
        found = list(keys.limit(_PARTS_AT_ONCE).tuples().execute(self._database))
        for name, part in found:
            of_part = (ModelFile.version == version) & (ModelFile.name == name) & (ModelFile.part == part)
            ModelDelete(ModelFile).where(of_part).execute(self._database)
        return bool(found)

    def _remove_files(self, version: str) -> None:
        ModelDelete(ModelFile).where(ModelFile.version == version).execute(self._database)


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def _stored(row: RegisteredModel) -> StoredModel:
    values = {name: getattr(row, name) for name in StoredModel.__slots__}
    return StoredModel(**{**values, "manifest": bytes(values["manifest"])})
