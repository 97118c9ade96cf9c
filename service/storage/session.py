"""One connection to the database: opened when it is needed, replaced when it broke, never shared by two at once."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import psycopg
from peewee import Database, DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, SqliteDatabase

from service.errors import Unavailable
from service.storage.sqlite_file import KeptFile, WriterLock

Value = TypeVar("Value")

_UNREACHABLE = (DatabaseError, InterfaceError, sqlite3.Error, psycopg.Error, OSError)
_OF_A_ROW = (DataError, IntegrityError)
_RETRY_AFTER_SECONDS = 2

_log = logging.getLogger(__name__)


class Session:
    """Runs work in transactions on the one connection of a Peewee database. Of a SQLite file, its turn is waited for
    `patience` seconds."""

    def __init__(self, database: Database, patience: float = 5.0) -> None:
        self.database = database
        is_file = isinstance(database, SqliteDatabase)
        self._turn = WriterLock(database.database, patience) if is_file else None
        self._file = KeptFile(database.database) if is_file else None

    def run(self, work: Callable[[], Value]) -> Value:
        """Does the work in a transaction and returns after its commit.

        A connection that was open before is replaced once if it turns out broken, as after a restart of the server,
        or if the transaction lost to a deadlock; the work is then done again, so it must be safe to repeat. Raises
        Unavailable where the database cannot do it now, and Peewee's DataError or IntegrityError where it refuses a
        value, which another try would not change."""
        return self._run(work, self.database.atomic)

    def run_autocommit(self, work: Callable[[], Value]) -> Value:
        """The same for work that is one statement, which is a transaction without being told so."""
        return self._run(work, nullcontext)

    def _run(self, work: Callable[[], Value], transaction: Callable[[], Any]) -> Value:
        reused = not self.database.is_closed()
        try:
            return self._attempt(work, transaction)
        except _OF_A_ROW:
            raise
        except _UNREACHABLE as error:
            if not reused or isinstance(self.database, SqliteDatabase):
                raise _unavailable(error) from error
        try:
            return self._attempt(work, transaction)
        except _UNREACHABLE as error:
            raise _unavailable(error) from error

    def read(self, work: Callable[[], Value]) -> Value:
        """Does work that only reads, each statement for itself, and closes the connection again; who writes is not
        held up. Raises Unavailable where the database cannot be read now."""
        try:
            if self.database.is_closed():
                self._open()
            return work()
        except _UNREACHABLE as error:
            raise _unavailable(error) from error
        finally:
            self.close()

    def ping(self) -> None:
        """Raises Unavailable unless the database takes writes now. Closes the connection again."""
        try:
            self.run(self._require_writable)
        finally:
            self.close()

    def close(self) -> None:
        """Closes the connection, broken or not; the next work opens another."""
        try:
            self.database.close()
        except _UNREACHABLE as error:
            _log.debug("closing a broken connection: %s", type(error).__name__)
        if self._turn is not None:
            self._turn.close()

    def _attempt(self, work: Callable[[], Value], transaction: Callable[[], Any]) -> Value:
        try:
            if self.database.is_closed():
                self._open()
            with self._turn or nullcontext(), transaction():
                done = work()
            if self._file is not None:
                self._file.require()  # after the commit: what went to a file that is gone is not answered
            return done
        except _OF_A_ROW:
            raise
        except _UNREACHABLE:
            self.close()
            raise

    def _open(self) -> None:
        if self._file is not None:
            self._file.require()  # else an empty file would take its place
        self.database.connect()

    def _require_writable(self) -> None:
        if isinstance(self.database, SqliteDatabase):
            # Only a commit of something finds a full disk: the number that is there is written again.
            self.database.pragma("user_version", self.database.pragma("user_version"))
            return
        if self.database.execute_sql("SHOW transaction_read_only").fetchone()[0] == "on":
            raise OperationalError("the server takes no writes")


def _unavailable(error: BaseException) -> Unavailable:
    reason = type(error.__context__ or error).__name__
    return Unavailable("The log cannot be written to now; repeat with the same id.", _RETRY_AFTER_SECONDS, reason)
