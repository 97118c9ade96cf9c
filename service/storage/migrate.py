"""The schema of the log: migrated at every start, by any number of processes at once, or required to exist."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from peewee import Database, PeeweeException, SqliteDatabase
from playhouse.migrations import Runner

from service.storage.connection import DatabaseError, failure
from service.storage.sqlite_file import WriterLock, damage, is_in_wal_mode, make_private
from service.storage.tables import Prediction

MIGRATIONS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 0x70726564
_TABLES = {"prediction", "label_change"}


class NoLog(DatabaseError):
    """The database has no log yet."""


def prepare(database: Database) -> list[str]:
    """Creates or migrates the tables, once even if many processes start together; returns the names of the migrations
    that ran. Nothing is dropped. The connection is closed again, because none may cross a fork. Raises DatabaseError
    if the database cannot be reached or is not safe for the log."""
    try:
        # Others may predict with a file in WAL mode, and must not wait for a check of up to a second.
        is_checked = isinstance(database, SqliteDatabase) and is_in_wal_mode(database.database)
        if is_checked:
            make_private(database.database)
            _require_sound(database)
        with _file_lock(database):
            if isinstance(database, SqliteDatabase):
                make_private(database.database)  # before SQLite creates the file, with the umask of this process
            if not is_checked:
                _require_sound(database)
            with database.connection_context():
                if isinstance(database, SqliteDatabase):
                    database.pragma("journal_mode", "wal")
                with _advisory_lock(database):
                    applied: list[str] = Runner(database, str(MIGRATIONS)).up()
                _require_unique_ids(database)
    except OSError as error:
        raise DatabaseError(_unusable(database, error.strerror or str(error))) from None
    except PeeweeException as error:
        raise DatabaseError(_unusable(database, str(error))) from error
    return applied


def require_log(database: Database, *newer: str) -> Database:
    """Raises NoLog if the database has no log, or lacks one of the `newer` tables, and DatabaseError if it cannot be
    used. It creates nothing, not even a SQLite file."""
    if not isinstance(database, SqliteDatabase) or Path(database.database).is_file():
        try:
            with database.connection_context():
                found = set(database.get_tables())
        except PeeweeException as error:
            raise DatabaseError(failure(error)) from error
        if found >= {*_TABLES, *newer}:
            return database
        if found >= _TABLES:
            raise NoLog("The log of DATABASE_URL is of an older version. `python -m service migrate` updates it.")
    raise NoLog("The database of DATABASE_URL has no log. `python -m service migrate` creates one.")


def _unusable(database: Database, reason: str) -> str:
    """Why the database cannot be prepared. If the folder or the file refuses this user, it says what to do."""
    if isinstance(database, SqliteDatabase):
        file, user = Path(database.database).absolute(), os.geteuid()
        if not all(os.access(path, os.W_OK) for path in (file.parent, file) if path.exists()):
            return (
                f"The file {file} of DATABASE_URL cannot be prepared: {reason}. User {user} may not write to it or "
                f"into the folder {file.parent}: give them to this user (chown {user}), or set DATABASE_URL to a file "
                "in a folder where it may write, or to a PostgreSQL database."
            )
    return f"The database of DATABASE_URL cannot be prepared: {reason}"


@contextmanager
def _file_lock(database: Database) -> Iterator[None]:
    """Holds the lock of a SQLite file: SQLite does not wait for others when it switches to WAL."""
    if not isinstance(database, SqliteDatabase):
        yield
        return
    with closing(WriterLock(database.database)) as lock, lock:
        yield


def _require_sound(database: Database) -> None:
    found = damage(database.database) if isinstance(database, SqliteDatabase) else None
    if found is not None:
        raise DatabaseError(
            f"The file {database.database} of DATABASE_URL is damaged and was left as it is ({found}); restore it from "
            "a copy, or save what can be read: sqlite3 FILE .recover."
        )


@contextmanager
def _advisory_lock(database: Database) -> Iterator[None]:
    """Holds a lock of PostgreSQL, so that one process migrates at a time."""
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
            "The table prediction has no UNIQUE constraint on observation_id, so one id could get two predictions; "
            "restore it: ALTER TABLE prediction ADD UNIQUE (observation_id)."
        )
