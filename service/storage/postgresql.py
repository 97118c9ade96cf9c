"""A PostgreSQL server that is not waited for without end: it may be gone without a word, its machine stopped, the
network between cut."""

from typing import Any, TypeVar

import psycopg
from peewee import PostgresqlDatabase
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg.types.string import TextLoader

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
