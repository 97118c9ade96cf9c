"""Whether other machines log to the same database."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Self

from serialize.files.place_error import PlaceError
from service.settings import Settings, SettingsError
from service.storage.connection import database_of, kind


@dataclass(frozen=True, slots=True)
class SameLog:
    """Recognizes DATABASE_URL on another machine. The variable itself is not sent, because it may hold a password."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises PlaceError for a SQLite file, which only one machine can write to."""
        if kind(database_of(settings)) == "sqlite":
            raise PlaceError(
                "DATABASE_URL names a SQLite file, and on a cluster each worker writes to the log; --log with "
                "--scheduler needs PostgreSQL."
            )
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(salt, settings.database_url))

    def difference(self, address: str) -> str | None:
        """Why the worker at an address, in whose process this runs, cannot write to this log; None if it can."""
        try:
            url = Settings.from_env().database_url
        except SettingsError as error:
            return f"The worker {address} cannot log. {error}"
        if hmac.compare_digest(self.digest, _digest(self.salt, url)):
            return None
        return f"The worker {address} has another DATABASE_URL than this command, or none; start it with the same one."


def _digest(salt: bytes, url: str) -> bytes:
    return hmac.digest(salt, url.encode("utf-8", "surrogateescape"), hashlib.sha256)
