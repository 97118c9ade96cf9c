"""One connection to the database: opened when needed, replaced when broken, for one user at a time."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import psycopg
from peewee import Database, DatabaseError, DataError, IntegrityError, InterfaceError, SqliteDatabase

from service.batching import Aside
from service.errors import Unavailable
from service.storage.readiness import require_writable
from service.storage.sqlite_file import KeptFile, WriterLock

Value = TypeVar("Value")

_UNREACHABLE = (DatabaseError, InterfaceError, sqlite3.Error, psycopg.Error, OSError)
_OF_A_ROW = (DataError, IntegrityError)
_RETRY_AFTER_SECONDS = 2

_log = logging.getLogger(__name__)


class Session:
    """Runs work in transactions on the one connection of a Peewee database. It waits `patience` seconds for the lock
    of a SQLite file."""

    def __init__(self, database: Database, patience: float = 5.0) -> None:
        self.database = database
        is_file = isinstance(database, SqliteDatabase)
        self._turn = WriterLock(database.database, patience) if is_file else None
        self._file = KeptFile(database.database) if is_file else None

    def run(self, work: Callable[[], Value]) -> Value:
        """Does the work in a transaction and returns after its commit.

        If an open connection is broken, for example after a restart of the server, or if the transaction is the victim
        of a deadlock, the work is repeated once on a new connection; so it must be safe to repeat. Raises Unavailable
        if the database cannot do it now, and Peewee's DataError or IntegrityError if it refuses a value."""
        return self._run(work, self.database.atomic)

    def run_autocommit(self, work: Callable[[], Value]) -> Value:
        """The same for work of a single statement, which commits by itself."""
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
        """Does work that only reads, without a transaction, and closes the connection. It blocks no writer. Raises
        Unavailable if the database cannot be read now."""
        try:
            return self.watch(work)
        finally:
            self.close()

    def watch(self, work: Callable[[], Value]) -> Value:
        """The same, but the connection stays open for the next time."""
        try:
            if self.database.is_closed():
                self._open()
            return work()
        except _UNREACHABLE as error:
            self.close()
            raise _unavailable(error) from error

    def ping(self) -> None:
        """Raises Unavailable unless predictions and labels can be written now. Closes the connection."""
        try:
            self.run(lambda: require_writable(self.database))
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
                self._file.require()  # after the commit: rows in a deleted file are lost
            return done
        except _OF_A_ROW:
            raise
        except _UNREACHABLE:
            self.close()
            raise

    def _open(self) -> None:
        if self._file is not None:
            self._file.require()  # connecting would create an empty file
        self.database.connect()


class SessionInTurn(Session):
    """A session for many callers. `aside` does their work in turn, and each closes the connection."""

    def __init__(self, database: Database, aside: Aside, patience: float = 5.0) -> None:
        super().__init__(database, patience)
        self._aside = aside

    def run(self, work: Callable[[], Value]) -> Value:
        """The same as in a session. Raises Unavailable, also if its turn does not come, and otherwise alike."""
        done: Value = self._aside(lambda: self._run_and_close(work))
        return done

    def read(self, work: Callable[[], Value]) -> Value:
        """The same as in a session. Raises Unavailable, also if its turn does not come."""
        found: Value = self._aside(lambda: super(SessionInTurn, self).read(work))
        return found

    def _run_and_close(self, work: Callable[[], Value]) -> Value:
        try:
            return super().run(work)
        finally:
            self.close()


def _unavailable(error: BaseException) -> Unavailable:
    reason = type(error.__context__ or error).__name__
    return Unavailable("The log cannot be written to now; repeat with the same id.", _RETRY_AFTER_SECONDS, reason)
