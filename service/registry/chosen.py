"""The model that a command is to use."""

import re
from dataclasses import replace
from pathlib import Path

from serialize.artifact import Artifact, load, load_content
from serialize.errors import ArtifactError
from service.prediction.artifact_scorer import answering_model
from service.registry.champion import Wanted, load_champion
from service.registry.release import OFF, registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.migrate import NoLog, require_log
from service.storage.session import Session

_VERSION = re.compile("[0-9a-f]{12}")


def chosen_model(settings: Settings, chosen: str | None) -> Artifact:
    """The model with this version in the registry, or of this folder or URL, and otherwise the one that the service
    serves when it starts. It is verified with its golden rows, and has no training data. Raises ArtifactError, and
    ServiceError if the registry does not have it, NoLog if there is none."""
    artifact = _served(settings) if chosen is None else _named(settings, chosen)
    artifact.verify(answering_model(artifact, compiled=settings.scorer == "compiled").outputs)
    return replace(artifact, training=None)


def _served(settings: Settings) -> Artifact:
    try:
        require_log(database_of(settings))
    except NoLog:  # the service has never started on this database
        return load(settings.artifacts, settings.trust())
    return load_champion(settings, Wanted()) or load(settings.artifacts, settings.trust())


def _named(settings: Settings, chosen: str) -> Artifact:
    if not _VERSION.fullmatch(chosen) or Path(chosen).exists():
        return load(chosen, settings.trust())
    session = Session(require_log(database_of(settings)))
    try:
        registry = registry_of(settings, session)
        if registry is None:
            raise ArtifactError(OFF)
        return load_content(registry.content(chosen))
    finally:
        session.close()
