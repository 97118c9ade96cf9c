"""The release step of a deployment: it registers the model of ARTIFACTS, and promotes it if it is new."""

import getpass
import socket

from serialize.content import Content, read_content
from service.registry.keys import registry_keys
from service.registry.proof import prove
from service.registry.registry import Registry
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.model_store import ModelStore
from service.storage.promotions import Promotions
from service.storage.session import Session

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
    return Registry(ModelStore(session), Promotions(session), keys, settings.model_max_bytes, prove, digest)


def release(settings: Settings) -> tuple[Content, bool | None]:
    """Registers the model of ARTIFACTS, in a database that has its tables, and promotes it if this deployment is the
    first that brings it. Returns it, and whether it was promoted: None if the registry is off or read-only. Raises
    ArtifactError, ModelConflict and Unavailable."""
    content = read_content(settings.artifacts, settings.trust())
    session = Session(database_of(settings))
    try:
        registry = registry_of(settings, session)
        if registry is None or registry.digest is not None:
            return content, None
        registry.register(content, author(), "release")
        return content, registry.promotions.release(content.version, socket.gethostname(), author())
    finally:
        session.close()


def author() -> str:
    """Who runs this command, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
