"""The model that a process serves when it starts: the champion of the registry, or else the model of ARTIFACTS."""

import logging

from serialize.artifact import Artifact, load_content
from serialize.content import Content
from serialize.errors import ArtifactError
from service.errors import ModelConflict, ServiceError, Unavailable
from service.registry.registry import Registry
from service.registry.release import author, registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.session import Session
from service.telemetry.log_format import event

_log = logging.getLogger("service")


def champion_content(settings: Settings) -> Content | None:
    """The files of the champion in a database that has its tables, checked and not unpickled. None if there is none, or
    if it cannot be served; a log line then says why."""
    session = Session(database_of(settings))
    try:
        registry = registry_of(settings, session)
        if registry is None:
            _note_off()
            return None
        return _content(registry)
    finally:
        session.close()


def load_champion(settings: Settings) -> Artifact | None:
    """The same as a model in memory whose golden rows are not yet compared."""
    content = champion_content(settings)
    if content is None:
        return None
    try:
        return load_content(content)
    except ArtifactError as error:
        note_unusable(content.version, error)
        return None


def make_first_champion(settings: Settings, content: Content) -> None:
    """Registers the model of ARTIFACTS and makes it the champion, if there is none yet."""
    session = Session(database_of(settings))
    try:
        registry = registry_of(settings, session)
        if registry is not None and registry.digest is None and registry.promotions.champion() is None:
            registry.register(content, author(), "first start")
            registry.promotions.promote(content.version, None, author(), "first start")
    except ModelConflict as error:
        event(_log, logging.WARNING, "not-registered", version=content.version, reason=error.detail)
    finally:
        session.close()


def note_unusable(version: str, error: Exception) -> None:
    """Logs that the champion does not serve, and why."""
    event(_log, logging.ERROR, "champion-unusable", version=version, reason=str(error))


def _content(registry: Registry) -> Content | None:
    version = registry.promotions.champion()
    if version is None:
        return None
    try:
        return registry.content(version)
    except Unavailable:
        raise
    except (ArtifactError, ServiceError) as error:
        note_unusable(version, error)
        return None


def _note_off() -> None:
    event(
        _log, logging.INFO, "registry-off",
        reason="The models of PostgreSQL need MODEL_SIGNING_KEY; ARTIFACTS serves.",
    )  # fmt: skip
