"""The table of the original app in a database that is only read. It is found by its columns and read in pages, in
the order of its ids, so that memory and read locks stay small."""

import math
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from peewee import Database, PeeweeException, SqliteDatabase, Table, fn

from service.storage.connection import DatabaseError, connect
from service.storage.sqlite_file import damage

_ADVICE = {
    "readonly": " Its last writer left an unfinished transaction: let sqlite3 open a copy of the file, and import it.",
    "locked": " Another program writes to it: stop that program, or import a copy of the file.",
}

OriginalValues = dict[str, Any]

_COLUMNS = ("id", "observation_id", "observation", "proba", "true_class")
_OF_THIS_SERVICE = "model_version"
_TIME = "created_at"
_PAGE_ROWS = 1_000
_UNREADABLE = (PeeweeException, sqlite3.Error, psycopg.Error, OSError)
_KINDS = (
    "SOURCE must be a SQLite file, or a URL that begins with sqlite:///, postgres:// or postgresql://, with special "
    "characters quoted: %40 for @ and %2F for /."
)


class SourceError(ValueError):
    """The source cannot be read or has no table of the original app; the message says what to give."""


class OriginalTable:
    """The table of an open database."""

    def __init__(self, database: Database, name: str, columns: tuple[str, ...]) -> None:
        self.name = name
        self._database = database
        self._columns = columns
        self._table = Table(name)

    @classmethod
    def find(cls, database: Database) -> "OriginalTable":
        """The table with the columns of the original app: `prediction`, or else the only one. Raises
        SourceError."""
        found = {}
        for name in database.get_tables():
            columns = {column.name for column in database.get_columns(name)}
            if columns >= set(_COLUMNS) and _OF_THIS_SERVICE not in columns:
                found[name] = (*_COLUMNS, *({_TIME} & columns))
        name = "prediction" if "prediction" in found else min(found, default="")
        if not found:
            raise SourceError(f"SOURCE has no table with the columns {', '.join(_COLUMNS)} of the original app.")
        if name != "prediction" and len(found) > 1:
            raise SourceError(f"SOURCE has several tables of the original app: {', '.join(sorted(found))}.")
        if database.get_primary_keys(name) != ["id"]:
            raise SourceError(f"The column id is not the primary key of the table {name} of SOURCE.")
        return cls(database, name, found[name])

    def count(self) -> int:
        """The number of rows."""
        return int(self._read(self._table.select(fn.count(self._table.c.id)))[0][0])

    def pages(self) -> Iterator[list[OriginalValues]]:
        """All rows by column, in the order of their ids. Rows that are added meanwhile are seen too. Raises
        SourceError if the ids are not integers."""
        columns = [getattr(self._table.c, name) for name in self._columns]
        if not isinstance(self._database, SqliteDatabase):
            # As text, because Python has no time such as infinity, and one would hide its whole page.
            columns = [column.cast("text") if column.name == _TIME else column for column in columns]
        query = self._table.select(*columns).order_by(self._table.c.id).limit(_PAGE_ROWS)
        page = self._read(query)
        while page:
            last = page[-1][0]
            if not isinstance(last, int):
                raise SourceError(f"The ids of the table {self.name} of SOURCE are not integers.")
            yield [dict(zip(self._columns, row, strict=True)) for row in page]
            page = self._read(query.where(self._table.c.id > last)) if len(page) == _PAGE_ROWS else []

    def _read(self, query: Any) -> list[tuple[Any, ...]]:
        try:
            if isinstance(self._database, SqliteDatabase):
                return list(query.tuples().execute(self._database))
            with self._database.atomic():
                # Not for the session: a connection pool in between would pass the session on to other clients.
                self._database.execute_sql("SET TRANSACTION READ ONLY")
                return list(query.tuples().execute(self._database))
        except _UNREADABLE as error:
            raise SourceError(f"SOURCE cannot be read ({error}); repeat the command to continue.") from error


def open_source(source: str, *, require_tls: bool = False) -> Database:
    """The database of a file or a URL with its connection open. Raises SourceError. No message shows the URL, because
    it may contain a password."""
    path = source.removeprefix("sqlite:///")
    try:
        if path == source and "://" in source:
            database = connect(source, require_tls=require_tls)
            database.connect()
            return database
        return _open_file(Path(path))
    except DatabaseError as error:
        raise SourceError(_KINDS) from error
    except _UNREADABLE as error:
        advice = next((text for part, text in _ADVICE.items() if part in str(error)), "")
        raise SourceError(f"SOURCE cannot be read: {error}.{advice}") from error


def is_same(source: Database, target: Database) -> bool:
    """Whether both are one database. The source is open, the target is not. Raises DatabaseError if the target cannot
    be reached."""
    if isinstance(source, SqliteDatabase) or isinstance(target, SqliteDatabase):
        return type(source) is type(target) and _is_same_file(source, target.database)
    # One server has many names, but two sessions of one database share its advisory locks.
    key = secrets.randbits(62)
    try:
        with target.connection_context(), source.atomic(), target.atomic():
            source.execute_sql("SELECT pg_advisory_xact_lock(%s)", (key,))
            return not target.execute_sql("SELECT pg_try_advisory_xact_lock(%s)", (key,)).fetchone()[0]
    except PeeweeException as error:
        raise DatabaseError(f"The database of DATABASE_URL cannot be used: {error}") from error


def any_text(text: bytes) -> str:
    """A text of SQLite, which may not be UTF-8. Then it has lone surrogates, so that its row is refused and the other
    rows are read."""
    return text.decode(errors="surrogateescape")


def _open_file(path: Path) -> Database:
    if path.is_dir():
        raise SourceError(f"{path} is a folder; name the file of the database in it.")
    if not path.is_file():
        raise SourceError(f"There is no file {path}.")
    found = damage(str(path), math.inf)
    if found is not None:
        raise SourceError(f"The file {path} is damaged or not a SQLite database ({found}).")
    database = SqliteDatabase(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    database.connect()
    database.connection().text_factory = any_text
    try:
        database.get_tables()
    except _UNREADABLE:
        database.close()
        raise
    return database


def _is_same_file(source: Database, target: str) -> bool:
    (_, _, path) = source.execute_sql("PRAGMA database_list").fetchone()
    return os.path.exists(target) and os.path.samefile(path, target)
