"""Creates the table of label files that are not yet read to their end, so that a run that was killed can go on."""

from typing import Any

from peewee import Database, SqliteDatabase

_SQLITE = {"integer": "INTEGER", "time": "TEXT", "end": "STRICT"}
_POSTGRESQL = {"integer": "BIGINT", "time": "TIMESTAMPTZ", "end": ""}

_TABLE = """
    CREATE TABLE label_file (
        digest TEXT PRIMARY KEY,
        file {integer} NOT NULL,
        next_row {integer} NOT NULL,
        updated_at {time} NOT NULL
    ) {end}
"""


def up(migrator: Any, database: Database) -> None:
    database.execute_sql(_TABLE.format(**(_SQLITE if isinstance(database, SqliteDatabase) else _POSTGRESQL)))
