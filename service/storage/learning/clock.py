"""The time of the database, for what processes on several machines compare."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from peewee import SQL, Database, SqliteDatabase

from service.storage.tables import UtcField


def clock_of(database: Database) -> Callable[[float], SQL]:
    """A function that gives, as a part of a statement, the moment so many seconds ago."""
    return _ago_sqlite if isinstance(database, SqliteDatabase) else _ago_postgresql


def moment_of(value: Any) -> datetime:
    """A moment that a statement returned."""
    found = UtcField().python_value(value)
    assert found is not None
    return found


def _ago_sqlite(seconds: float) -> SQL:
    """The text is of the form that UtcField writes, so that texts compare as times do."""
    return SQL(f"strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-{seconds} seconds')")


def _ago_postgresql(seconds: float) -> SQL:
    return SQL(f"clock_timestamp() - interval '{seconds} seconds'")
