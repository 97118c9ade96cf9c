"""Whether other machines log to the same database."""

from dataclasses import dataclass
from typing import Self

from serialize.files.place_error import PlaceError
from service.errors import Unavailable
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of, kind
from service.storage.session import Session

_PATIENCE_SECONDS = 30.0
_IDENTITY = """
    SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())
    FROM pg_control_system()
"""


@dataclass(frozen=True, slots=True)
class SameLog:
    """Recognizes a database of PostgreSQL: the identifier of its server, and its own number there. The same
    DATABASE_URL can name another database on another machine, as with localhost."""

    server: int
    database: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The log of the settings. Raises PlaceError for a SQLite file, which the workers of a cluster cannot share,
        and for a database that cannot be asked; DatabaseError for a DATABASE_URL that is none."""
        database = database_of(settings, _PATIENCE_SECONDS)
        if kind(database) == "sqlite":
            raise PlaceError(
                "DATABASE_URL names a SQLite file, and on a cluster each worker writes to the log; --log with "
                "--scheduler needs PostgreSQL."
            )
        session = Session(database, _PATIENCE_SECONDS)
        try:
            found: tuple[int, int] = session.run(lambda: database.execute_sql(_IDENTITY).fetchone())
        except Unavailable as error:
            raise PlaceError(f"The log cannot be used now ({error.reason}).") from error
        finally:
            session.close()
        return cls(*map(int, found))

    def difference(self, address: str) -> str | None:
        """Why the worker at an address, in whose process this runs, cannot write to this log; None if it can."""
        try:
            if self == SameLog.of(Settings.from_env()):
                return None
        except (PlaceError, SettingsError, DatabaseError) as error:
            return f"The worker {address} cannot log. {error}"
        return f"The DATABASE_URL of the worker {address} names another database than that of this command."
