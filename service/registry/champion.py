"""The model that a process serves when it starts: the champion of the registry, or else the model of ARTIFACTS."""

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serialize.artifact import Artifact, load_content
from serialize.content import Content
from serialize.errors import ArtifactError
from serialize.folder import read_manifest
from serialize.store.address import is_url
from service.errors import ServiceError, Unavailable
from service.registry.registry import Registry
from service.registry.release import author, registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.session import Session
from service.telemetry.log_format import event

_log = logging.getLogger("service")


@dataclass(slots=True)
class Wanted:
    """The champion as this process last saw it, and why it does not serve, if it cannot."""

    version: str | None = None
    why: str | None = None

    def serve(self, version: str) -> None:
        """Notes that a champion serves, or is about to."""
        self.version, self.why = version, None

    def failed(self, version: str) -> bool:
        """Whether this champion was tried and cannot serve."""
        return self.version == version and self.why is not None

    def fail(self, version: str, why: str) -> None:
        """Notes that the champion cannot serve, and logs why."""
        self.version, self.why = version, why
        event(_log, logging.ERROR, "champion-unusable", version=version, reason=why)


def champion_content(settings: Settings, wanted: Wanted) -> Content | None:
    """The files of the champion in a database that has its tables, checked and not unpickled. None if there is none, or
    if it cannot be served, which `wanted` then tells."""
    session = Session(database_of(settings))
    try:
        registry = registry_of(settings, session)
        if registry is None:
            _note_off()
            return None
        return _content(registry, wanted)
    finally:
        session.close()


def load_champion(settings: Settings, wanted: Wanted) -> Artifact | None:
    """The champion in a database that has its tables; its golden rows are not yet compared. None if there is none, or
    if it cannot be loaded, which `wanted` then tells."""
    content = champion_content(settings, wanted)
    if content is None:
        return None
    try:
        return load_content(content)
    except ArtifactError as error:
        wanted.fail(content.version, str(error))
        return None


def note_other_artifacts(settings: Settings, champion: str) -> None:
    """Logs that the folder ARTIFACTS holds another model than the champion, which serves."""
    if is_url(settings.artifacts):
        return
    with suppress(ArtifactError):
        version = hashlib.sha256(read_manifest(Path(settings.artifacts))).hexdigest()[:12]
        if version != champion:
            event(
                _log, logging.INFO, "artifacts-not-served", version=version,
                reason="The champion of the registry serves; `python -m service release` promotes a new model.",
            )  # fmt: skip


def make_first_champion(settings: Settings, content: Content, wanted: Wanted) -> None:
    """Registers the model of ARTIFACTS and makes it the champion, if there is none yet. Logs why if it cannot; the
    model serves all the same."""
    session = Session(database_of(settings))
    try:
        registry = registry_of(settings, session)
        if registry is not None and registry.digest is None and registry.promotions.champion() is None:
            registry.register(content, author(), "first start")
            registry.promotions.promote(content.version, None, author(), "first start")
            wanted.serve(content.version)
    except (ArtifactError, ServiceError) as error:
        event(_log, logging.WARNING, "not-registered", version=content.version, reason=str(error))
    finally:
        session.close()


def _content(registry: Registry, wanted: Wanted) -> Content | None:
    version = registry.promotions.champion()
    if version is None or not (registry.digest or version).startswith(version):  # MODEL_DIGEST names another model
        return None
    try:
        return registry.content(version)
    except Unavailable:
        raise
    except (ArtifactError, ServiceError) as error:
        wanted.fail(version, str(error))
        return None


def _note_off() -> None:
    event(
        _log, logging.INFO, "registry-off",
        reason="The models of PostgreSQL need MODEL_SIGNING_KEY; ARTIFACTS serves.",
    )  # fmt: skip
