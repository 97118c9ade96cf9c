"""The keys that sign what the registry holds. They are never in the database: who can write there must not thereby run
code in the service."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from peewee import Database, SqliteDatabase

from serialize.errors import ArtifactError
from serialize.trust import signing_keys
from service.settings import Settings

_SUFFIX = ".model-key"
_PRIVATE = 0o600


def registry_keys(settings: Settings, database: Database) -> tuple[str, ...]:
    """The keys of MODEL_SIGNING_KEY. Without it, beside a SQLite file, the key of a private file that is made at the
    first use; for PostgreSQL none. Raises ArtifactError for a key that is too short, or a file that others can use."""
    if settings.model_signing_key or not isinstance(database, SqliteDatabase):
        return signing_keys(settings.model_signing_key)
    return (_key_of_file(Path(os.path.realpath(database.database) + _SUFFIX)),)


def _key_of_file(path: Path) -> str:
    """The key in the file. If two processes make it at once, both take the one that was first."""
    try:
        with suppress(FileExistsError):
            _make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, encoding="ascii", errors="replace") as file:
            found = os.fstat(descriptor)
            if found.st_mode & 0o077:
                raise ArtifactError(f"{path} is the key of the registry, and others can use it: chmod 600 {path}.")
            key = file.read().strip()
    except OSError as error:
        raise ArtifactError(
            f"{path}, the key of the registry, cannot be used ({error.strerror}); set MODEL_SIGNING_KEY instead."
        ) from error
    signing_keys(key or "empty")
    return key


def _make(path: Path) -> None:
    """Writes a new key. The file gets its name with its content, so that no reader finds half a key."""
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(scratch, path)
    finally:
        os.unlink(scratch)
