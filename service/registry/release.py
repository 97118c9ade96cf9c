"""The release step of a deployment: it registers the model of ARTIFACTS, and promotes it if it is new."""

import getpass
import logging
import socket
from collections.abc import Callable

from serialize.content import Content, read_content
from serialize.errors import ArtifactError, StoreError
from service.errors import ModelConflict
from service.registry.keys import registry_keys
from service.registry.proof import prove
from service.registry.registry import Registry, counted
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session

_log = logging.getLogger("service")

OFF = (
    "The registry is off, because the database is PostgreSQL and MODEL_SIGNING_KEY is not set. Set it to a key, such "
    "as the output of `openssl rand -hex 32`."
)


def registry_of(settings: Settings, session: Session) -> Registry | None:
    """The registry in the database of the session, or None if it is off: PostgreSQL without MODEL_SIGNING_KEY. Raises
    ArtifactError for a key that cannot be used."""
    keys = registry_keys(settings, session.database)
    if not keys:
        return None
    digest = settings.model_digest or None
    return Registry(
        ModelStore(session), Promotions(session), keys, settings.model_max_bytes, prove, digest, settings.models_kept
    )


def release(settings: Settings, warn: Callable[[str], None] = _log.warning) -> tuple[Content, bool | None]:
    """Registers the model of ARTIFACTS, in a database that has its tables, and promotes it if this deployment is the
    first that brings it. Returns it, and whether it was promoted: None if the registry is off or read-only. If
    ARTIFACTS is a URL that cannot be read now, and the champion can serve, it warns and returns the champion. If the
    model cannot be registered, and there is no champion that would serve in its place, it warns too. A model that would
    replace the champion is proven before. Raises ArtifactError, ModelConflict and Unavailable."""
    session = Session(database_of(settings))
    try:
        registry = registry_of(settings, session)
        try:
            content = read_content(settings.artifacts, settings.trust())
        except StoreError as error:
            kept = _champion(registry, error)
            warn(f"{error} So model {kept.version} stays the champion.")
            return kept, False
        if registry is None or registry.digest is not None:
            return content, None
        try:
            registry.register(content, author(), "release")
        except ModelConflict as error:  # for example, it is too large
            if registry.promotions.champion() is not None:
                raise
            warn(f"{error.detail} So it serves without the registry.")
            return content, None
        machine = socket.gethostname()
        if registry.promotions.release_replaces(content.version, machine):
            refused = registry.prove(content.version)
            if refused:
                warn(f"Model {content.version} refuses observations of the log, by column: {counted(refused)}.")
        return content, registry.promotions.release(content.version, machine, author())
    finally:
        session.close()


def _champion(registry: Registry | None, error: StoreError) -> Content:
    """The champion, if there is one that can serve. Otherwise raises the error."""
    version = None if registry is None else registry.promotions.champion()
    if registry is None or version is None:
        raise error
    try:
        return registry.content(version)
    except ArtifactError as unusable:
        raise StoreError(f"{error} The champion cannot serve either: {unusable}") from error


def author() -> str:
    """Who runs this command, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
