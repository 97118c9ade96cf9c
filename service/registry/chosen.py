"""The model that a command is to use."""

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from serialize.artifact import Artifact, load_content
from serialize.content import Content, read_content
from serialize.errors import ArtifactError
from serialize.folder import TRAINING
from serialize.manifest import Manifest
from service.prediction.artifact_scorer import verify
from service.registry.champion import Wanted, champion_content
from service.registry.release import OFF, registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.migrate import NoLog, require_log
from service.storage.session import Session

_VERSION = re.compile("[0-9a-f]{12}")


class ChosenModel(NamedTuple):
    """A model that was loaded, and its files, for other processes. Neither has the training data."""

    artifact: Artifact
    content: Content


def chosen_model(settings: Settings, chosen: str | None) -> ChosenModel:
    """The model with this version in the registry, or of this folder or URL, and otherwise the one that the service
    serves when it starts. It is verified with its golden rows. Raises ArtifactError, and ServiceError if the registry
    does not have it, NoLog if there is none."""
    content, artifact = _served(settings) if chosen is None else _loaded(_named(settings, chosen))
    verify(artifact, compiled=settings.scorer == "compiled")
    return ChosenModel(artifact, content)


def served_manifest(settings: Settings) -> Manifest:
    """The manifest of the model that the service serves when it starts, in a database that has its tables. Its files
    are checked, and nothing is unpickled. Raises ArtifactError, and Unavailable if the database cannot be read now."""
    content = champion_content(settings, Wanted()) or read_content(settings.artifacts, settings.trust())
    return content.manifest


def _served(settings: Settings) -> tuple[Content, Artifact]:
    try:
        require_log(database_of(settings))
    except NoLog:  # the service has never started on this database
        return _loaded(read_content(settings.artifacts, settings.trust()))
    wanted = Wanted()
    content = champion_content(settings, wanted)
    if content is not None:
        try:
            return _loaded(content)
        except ArtifactError as error:
            wanted.fail(content.version, str(error))
    return _loaded(read_content(settings.artifacts, settings.trust()))


def _named(settings: Settings, chosen: str) -> Content:
    if not _VERSION.fullmatch(chosen) or Path(chosen).exists():
        return read_content(chosen, settings.trust())
    session = Session(require_log(database_of(settings)))
    try:
        registry = registry_of(settings, session)
        if registry is None:
            raise ArtifactError(OFF)
        return registry.content(chosen)
    finally:
        session.close()


def _loaded(content: Content) -> tuple[Content, Artifact]:
    files = {name: file for name, file in content.files.items() if name != TRAINING}
    content = replace(content, files=files)
    return content, load_content(content)
