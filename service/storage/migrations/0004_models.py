"""Creates the tables of the registry: models with their files, the champion, the history of promotions, and what each
release step brought.

A part of a file has at most 4 MiB, so that no transaction is long. The state `registered` says that all files of a
model were found to be there."""

from typing import Any

from peewee import Database, SqliteDatabase

_SQLITE = {"key": "INTEGER PRIMARY KEY AUTOINCREMENT", "integer": "INTEGER", "bytes": "BLOB", "end": "STRICT"}
_POSTGRESQL = {"key": "BIGSERIAL PRIMARY KEY", "integer": "BIGINT", "bytes": "BYTEA", "end": ""}
_SQLITE |= {"json": "TEXT", "time": "TEXT"}
_POSTGRESQL |= {"json": "JSON", "time": "TIMESTAMPTZ"}

_TABLES = (
    """
    CREATE TABLE model (
        version TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        format {integer} NOT NULL,
        manifest {bytes} NOT NULL,
        signature TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('incoming', 'registered', 'refused', 'retired')),
        registered_at {time} NOT NULL,
        registered_by TEXT NOT NULL,
        trained_until {integer},
        note TEXT,
        url TEXT
    ) {end}
    """,
    """
    CREATE TABLE model_file (
        version TEXT NOT NULL REFERENCES model (version) ON DELETE CASCADE,
        name TEXT NOT NULL,
        part {integer} NOT NULL,
        bytes {bytes} NOT NULL,
        PRIMARY KEY (version, name, part)
    ) {end}
    """,
    """
    CREATE TABLE champion (
        id {integer} PRIMARY KEY CHECK (id = 1),
        version TEXT NOT NULL REFERENCES model (version) ON DELETE RESTRICT
    ) {end}
    """,
    """
    CREATE TABLE promotion (
        id {key},
        from_version TEXT,
        to_version TEXT NOT NULL REFERENCES model (version) ON DELETE RESTRICT,
        promoted_at {time} NOT NULL,
        promoted_by TEXT NOT NULL,
        reason TEXT,
        figures {json},
        undoes {integer} REFERENCES promotion (id)
    ) {end}
    """,
    """
    CREATE TABLE release_step (
        id {key},
        machine TEXT NOT NULL UNIQUE,
        version TEXT NOT NULL REFERENCES model (version) ON DELETE RESTRICT,
        released_at {time} NOT NULL
    ) {end}
    """,
)


def up(migrator: Any, database: Database) -> None:
    types = _SQLITE if isinstance(database, SqliteDatabase) else _POSTGRESQL
    for statement in _TABLES:
        database.execute_sql(statement.format(**types))
