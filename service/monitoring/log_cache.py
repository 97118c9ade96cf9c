"""The columns of the log in memory, read once for all models with the same kind of task and classes."""

from typing import Any
from weakref import WeakValueDictionary

from peewee import Database

from serialize.task import Task
from service.prediction.observation import canonical
from service.storage.column_cache import ColumnCache
from service.storage.connection import kind
from service.storage.postgresql_columns import PostgresqlColumns
from service.storage.sqlite_columns import SqliteColumns


class LogCache:
    """The log as a task reads it, through an open connection: `columns` are its numbers, and `documents` maps the ids
    that exist to the JSON texts of observation and probabilities."""

    def __init__(self, database: Database, task: Task) -> None:
        source = (SqliteColumns if kind(database) == "sqlite" else PostgresqlColumns)(database, task)
        self.columns = ColumnCache(source)
        self.documents = source.documents


class LogCaches:
    """One cache for each kind of task. It is kept for as long as anything else holds it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._caches: WeakValueDictionary[Any, LogCache] = WeakValueDictionary()

    def of(self, task: Task) -> LogCache:
        """The cache for tasks of this kind with these classes, whatever their threshold and positive class."""
        classes = tuple(map(canonical, task.classes))
        return self._caches.setdefault((task.kind, classes), LogCache(self._database, task))
