"""The database by its URL: how it is connected to, and how its schema is brought up to date."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from peewee import Database, PeeweeException, PostgresqlDatabase, SqliteDatabase
from playhouse.migrations import Runner
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError, _WaitTimeout
from psycopg.types.string import TextLoader

from service.settings import Settings
from service.storage.sqlite_file import WriterLock, damage
from service.storage.tables import FIELD_TYPES_POSTGRESQL, FIELD_TYPES_SQLITE, Prediction

MIGRATIONS = Path(__file__).parent / "migrations"

_BUSY_SECONDS = 5
_ADVISORY_LOCK = 0x70726564
_POSTGRESQL_DEFAULTS = {
    "connect_timeout": 5,
    "application_name": "prediction-service",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_CONNECT_SECONDS = 2  # the least that libpq keeps to


class DatabaseError(ValueError):
    """The database cannot be used as it is configured; the message says what to change."""


def connect(url: str, *, require_tls: bool = False, patience: float | None = None) -> Database:
    """A database for `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgres://...` or `postgresql://...`.

    It opens no connection yet, and has a single one: whoever uses it does so one at a time. After `patience`, in
    seconds, a file that others hold is given up, and so is a server that does not answer a statement or, sooner still,
    cannot be connected to. Raises DatabaseError for a URL of another kind."""
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == "sqlite":
        return _sqlite(url, patience or _BUSY_SECONDS)
    if scheme in ("postgres", "postgresql"):
        return _postgresql(url, require_tls, patience)
    raise DatabaseError("DATABASE_URL must begin with sqlite:///, postgres:// or postgresql://.")


def database_of(settings: Settings, patience: float | None = None) -> Database:
    """The database of the settings; on a Heroku dyno only through TLS. See `connect`. Raises DatabaseError."""
    return connect(settings.database_url, require_tls=bool(settings.dyno), patience=patience)


def kind(database: Database) -> str:
    """`sqlite` or `postgresql`."""
    return "sqlite" if isinstance(database, SqliteDatabase) else "postgresql"


def prepare(database: Database) -> list[str]:
    """Create what is missing and migrate what is old, once however many processes ask at the same time; returns the
    names of the migrations that ran. Nothing is ever dropped. The connection is closed again: none may cross a
    fork. Raises DatabaseError where the database cannot be reached or the log would not be safe in it."""
    try:
        with _alone(database), _sound(database).connection_context():
            if isinstance(database, SqliteDatabase):
                database.pragma("journal_mode", "wal")
            with _only_session(database):
                applied: list[str] = Runner(database, str(MIGRATIONS)).up()
            _require_unique_ids(database)
    except (PeeweeException, OSError) as error:
        raise DatabaseError(f"The database of DATABASE_URL cannot be prepared: {error}") from error
    return applied


def _sqlite(url: str, patience: float) -> Database:
    path = url.partition(":///")[2].partition("?")[0]
    if not path or path == ":memory:":
        raise DatabaseError("DATABASE_URL must name a file, as sqlite:///predictions.db does.")
    return SqliteDatabase(
        path,
        pragmas=[("busy_timeout", int(patience * 1000)), ("synchronous", "FULL"), ("foreign_keys", 1)],
        timeout=patience,
        lock_type="IMMEDIATE",
        returning_clause=True,
        thread_safe=False,
        check_same_thread=False,
        field_types=FIELD_TYPES_SQLITE,
    )


def _postgresql(url: str, require_tls: bool, patience: float | None) -> Database:
    try:
        given: dict[str, Any] = conninfo_to_dict("postgresql://" + url.partition("://")[2])
    except ProgrammingError:
        raise DatabaseError("DATABASE_URL is not a PostgreSQL URL; quote special characters as %40 for @.") from None
    defaults = {**_POSTGRESQL_DEFAULTS, **({"sslmode": "require"} if require_tls else {})}
    if patience is not None:
        defaults["connect_timeout"] = _CONNECT_SECONDS
    parameters = {**defaults, **given}
    name = parameters.pop("dbname", None) or parameters.get("user") or "postgres"
    return Postgresql(name, patience=patience, **parameters, thread_safe=False, field_types=FIELD_TYPES_POSTGRESQL)


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Holds the one lock under which a SQLite file is prepared: switching it to WAL does not wait for others."""
    if not isinstance(database, SqliteDatabase):
        yield
        return
    turn = WriterLock(database.database)
    try:
        with turn:
            yield
    finally:
        turn.close()


def _sound(database: Database) -> Database:
    found = damage(database.database) if isinstance(database, SqliteDatabase) else None
    if found is not None:
        raise DatabaseError(
            f"The file {database.database} of DATABASE_URL is damaged and was left as it is ({found}); restore it from "
            "a copy, or save what can be read: sqlite3 FILE .recover."
        )
    return database


@contextmanager
def _only_session(database: Database) -> Iterator[None]:
    """Holds an advisory lock of PostgreSQL: of many processes that migrate at once, one does."""
    if isinstance(database, SqliteDatabase):
        yield
        return
    database.execute_sql("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
    try:
        yield
    finally:
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (_ADVISORY_LOCK,))


def _require_unique_ids(database: Database) -> None:
    unique = [index.columns for index in database.get_indexes(Prediction._meta.table_name) if index.unique]
    if ["observation_id"] not in unique:
        raise DatabaseError(
            "The table prediction does not hold observation_id unique, so one id could get two predictions; restore "
            "the constraint: ALTER TABLE prediction ADD UNIQUE (observation_id)."
        )


Value = TypeVar("Value")

_CHECK_SECONDS = 0.1
_LIMITS = "SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = {milliseconds}"


class Postgresql(PostgresqlDatabase):
    """PostgreSQL whose json columns are read as the text that they hold. Where `patience` is given, a statement that
    is not answered in so many seconds fails and its connection is closed; the server too gives up, so that what a lost
    connection has locked is free again."""

    def __init__(self, name: str, *, patience: float | None, **parameters: Any) -> None:
        super().__init__(name, prefer_psycopg3=True, **parameters)
        self._patience = patience

    def _connect(self) -> "_Connection":
        connection = _Connection.connect(dbname=self.database, autocommit=True, **self.connect_params)
        connection.adapters.register_loader("json", TextLoader)
        if self._patience is not None:
            connection.patience = self._patience
            connection.execute(_LIMITS.format(milliseconds=int(self._patience * 1000)).encode())
        return connection


class _Connection(psycopg.Connection[Any]):
    patience: float | None = None

    def wait(self, gen: PQGen[Value], interval: float = _CHECK_SECONDS, timeout: float | None = None) -> Value:
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except _WaitTimeout:
            self.close()
            raise psycopg.OperationalError("the server did not answer in time") from None
