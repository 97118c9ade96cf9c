"""The connection to the database of a URL: SQLite or PostgreSQL, with time limits. No error shows a part of the URL,
because any part may be of a password: the texts of libpq name what it takes for a host, a port or a user."""

import re
from typing import Any, TypeVar

import psycopg
from peewee import Database, PeeweeException, PostgresqlDatabase, SqliteDatabase
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError, _WaitTimeout
from psycopg.types.string import TextLoader

from service.settings import Settings
from service.storage.tables import FIELD_TYPES_POSTGRESQL, FIELD_TYPES_SQLITE

Value = TypeVar("Value")

_BUSY_SECONDS = 5
_POSTGRESQL_DEFAULTS = {
    "connect_timeout": 5,
    "application_name": "prediction-service",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_CONNECT_SECONDS = 2  # the minimum of libpq
_CHECK_SECONDS = 0.1
# What the texts of libpq, psycopg and the server contain, and what the errors here say instead.
_CAUSES = {
    "password authentication failed": "the server refuses the user or the password",
    "no password supplied": "the server asks for a password",
    "pg_hba.conf": "the server admits no such user, database or address (pg_hba.conf)",
    "does not exist": "the server has no such user or database",
    "Connection refused": "no server listens at the host and the port",
    "No such file or directory": "there is no socket of a server at the host and the port",
    "failed to resolve host": "the host or the port is not known",
    "bad value": "the port or an option has a wrong value",
    "timeout": "the server did not answer in time",
    "SSL": "TLS failed; see sslmode",
    "certificate": "TLS failed; see sslmode",
    "too many": "the server has too many connections",
    "connection slots": "the server has too many connections",
    "starting up": "the server is starting",
    "shutting down": "the server is stopping",
    "invalid": "the port or an option has a wrong value",
}
_UNQUOTED = re.compile("[^@]*(@.*|/.*)@")
# `least` passes over NULL.
_CONNECTION_LIMIT = """
    SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    )
"""
_LIMITS = "SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = {milliseconds}"


class DatabaseError(ValueError):
    """The database cannot be used as configured; the message says what to change."""


def failure(error: PeeweeException) -> str:
    """A sentence about an error of the database."""
    return f"The database of DATABASE_URL cannot be used: {' '.join(str(error).split())}"


def connect(url: str, *, require_tls: bool = False, patience: float | None = None) -> Database:
    """A database for `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgres://...` or `postgresql://...`.

    It opens no connection yet, and only one later: for one user at a time. Waiting for a locked file, a statement or a
    connection ends after `patience` seconds. Raises DatabaseError for another kind of URL."""
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == "sqlite":
        return _sqlite(url, patience or _BUSY_SECONDS)
    if scheme in ("postgres", "postgresql"):
        return _postgresql(url, require_tls, patience)
    raise DatabaseError("DATABASE_URL must begin with sqlite:///, postgres:// or postgresql://.")


def database_of(settings: Settings, patience: float | None = None) -> Database:
    """The database of the settings; on a Heroku dyno only through TLS. See `connect`. Raises DatabaseError."""
    return connect(settings.database_url, require_tls=bool(settings.dyno), patience=patience)


def connection_limit(database: Database) -> int | None:
    """The most connections that this user may open to this database; None for SQLite, or if the server does not tell.
    It closes its own connection again."""
    if isinstance(database, SqliteDatabase):
        return None
    try:
        with database.connection_context():
            (limit,) = database.execute_sql(_CONNECTION_LIMIT).fetchone()
    except (PeeweeException, psycopg.Error):
        return None
    return int(limit)


def kind(database: Database) -> str:
    """`sqlite` or `postgresql`."""
    return "sqlite" if isinstance(database, SqliteDatabase) else "postgresql"


def _sqlite(url: str, patience: float) -> Database:
    path = url.partition(":///")[2].partition("?")[0]
    if not path or path == ":memory:" or re.search(":.*@", path):
        raise DatabaseError("DATABASE_URL must name a file, as sqlite:///predictions.db does.")
    return SqliteDatabase(
        path,
        pragmas=[
            ("busy_timeout", int(patience * 1000)),
            ("synchronous", "FULL"),
            ("foreign_keys", 1),
            ("temp_store", "MEMORY"),  # a temporary file needs a descriptor, and there may be none left
        ],
        timeout=patience,
        lock_type="IMMEDIATE",
        returning_clause=True,
        thread_safe=False,
        check_same_thread=False,
        field_types=FIELD_TYPES_SQLITE,
    )


def _postgresql(url: str, require_tls: bool, patience: float | None) -> Database:
    rest = url.partition("://")[2]
    try:
        if _UNQUOTED.match(rest):  # libpq would take the end of the password for a host, and look it up
            raise ProgrammingError
        given: dict[str, Any] = conninfo_to_dict(f"postgresql://{rest}")
    except (ProgrammingError, UnicodeError):
        raise DatabaseError(
            "DATABASE_URL is not a PostgreSQL URL; quote special characters as %40 for @ and %2F for /."
        ) from None
    defaults = {**_POSTGRESQL_DEFAULTS, **({"sslmode": "require"} if require_tls else {})}
    if patience is not None:
        defaults["connect_timeout"] = _CONNECT_SECONDS
    parameters = {**defaults, **given}
    name = parameters.pop("dbname", None) or parameters.get("user") or "postgres"
    return Postgresql(name, patience=patience, **parameters, thread_safe=False, field_types=FIELD_TYPES_POSTGRESQL)


class Postgresql(PostgresqlDatabase):
    """PostgreSQL that returns json columns as text. With `patience`, a statement fails after so many seconds and its
    connection is closed; the server gives up too, so that a lost connection holds no locks."""

    def __init__(self, name: str, *, patience: float | None, **parameters: Any) -> None:
        super().__init__(name, prefer_psycopg3=True, **parameters)
        self._patience = patience

    def _connect(self) -> "_Connection":
        try:
            connection = _Connection.connect(dbname=self.database, autocommit=True, **self.connect_params)
        except (psycopg.Error, UnicodeError) as error:
            raise psycopg.OperationalError(f"no connection: {_cause(str(error))}") from None
        connection.adapters.register_loader("json", TextLoader)
        if self._patience is not None:
            connection.patience = self._patience
            connection.execute(_LIMITS.format(milliseconds=int(self._patience * 1000)).encode())
        return connection


def _cause(text: str) -> str:
    """Why no connection could be made, without any word of the text."""
    return next((cause for part, cause in _CAUSES.items() if part in text), "the server or the URL does not admit one")


class _Connection(psycopg.Connection[Any]):
    patience: float | None = None

    def wait(self, gen: PQGen[Value], interval: float = _CHECK_SECONDS, timeout: float | None = None) -> Value:
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except _WaitTimeout:
            self.close()
            raise psycopg.OperationalError("the server did not answer in time") from None
