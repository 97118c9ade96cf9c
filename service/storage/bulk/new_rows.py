"""Inserts many predictions at once and finds out which of their ids the log had already."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import psycopg
from peewee import Database, DataError, SqliteDatabase

from service.storage.array_statements import SqliteArrays, TableColumns
from service.storage.statements import chunks, moment
from service.storage.tables import Prediction

_TABLE = Prediction._meta.table_name
_COPIED = "new_prediction"
# With the types of the log. The table is temporary: each connection has its own, and a commit empties it.
_CREATE = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS {_COPIED} ON COMMIT DELETE ROWS AS
    SELECT observation_id, observation, proba, probas, predicted_class, predicted_value FROM {_TABLE} WITH NO DATA
"""
# The order is that of all writers, so that no two transactions deadlock.
_INSERT = """
    WITH inserted AS (
        INSERT INTO {table} (threshold, model_version, created_at, {names})
        SELECT %s::double precision, %s::text, %s::timestamptz, {names} FROM {copied}
        ORDER BY observation_id COLLATE "C"
        ON CONFLICT (observation_id) DO NOTHING RETURNING observation_id
    )
    SELECT observation_id FROM {copied} EXCEPT SELECT observation_id FROM inserted
"""


class NewRows(ABC):
    """Statements that run within a transaction. The subclasses hold what differs between the databases."""

    spares_known_ids: ClassVar[bool]  # whether a row with a known observation_id takes no number of the column id
    _newest: ClassVar[str]

    def __init__(self, database: Database) -> None:
        self._database = database

    @abstractmethod
    def insert(
        self, columns: TableColumns, threshold: float | None, model_version: str, created_at: datetime
    ) -> list[str]:
        """Inserts those of n rows with distinct ids whose ids are new, and returns the observation_ids of the others.
        `columns` has the n values of each column that is not null in every row; `threshold`, `model_version` and
        `created_at` go to every row."""

    def newest_id(self) -> int:
        """The newest number of the column id that was taken."""
        (newest,) = self._database.execute_sql(self._newest).fetchone()
        return int(newest)


class SqliteNewRows(NewRows):
    """No other writer enters a transaction of SQLite. The rows are inserted in the given order."""

    spares_known_ids = True
    _newest = f"SELECT coalesce(max(id), 0) FROM {_TABLE}"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._arrays = SqliteArrays(database)

    def insert(
        self, columns: TableColumns, threshold: float | None, model_version: str, created_at: datetime
    ) -> list[str]:
        keys = columns["observation_id"]
        known = {key for chunk in chunks(keys) for key in self._known(chunk)}
        if known:
            new = [place for place, key in enumerate(keys) if key not in known]
            columns = {name: [column[place] for place in new] for name, column in columns.items()}
        self._arrays.insert(columns, threshold, model_version, created_at)
        return list(known)

    def _known(self, keys: Sequence[str]) -> list[str]:
        marks = ", ".join("?" * len(keys))
        text = f"SELECT observation_id FROM {_TABLE} WHERE observation_id IN ({marks})"
        return [key for (key,) in self._database.execute_sql(text, keys).fetchall()]


class PostgresqlNewRows(NewRows):
    """PostgreSQL takes the rows by COPY, and inserts them in the order of the ids. `insert` may be called once in a
    transaction."""

    spares_known_ids = False
    # Transactions that are not committed yet have taken numbers too. A user without rights on the sequence gets null.
    _newest = f"""
        SELECT coalesce(
            (
                SELECT last_value FROM pg_sequences
                WHERE quote_ident(schemaname) || '.' || quote_ident(sequencename)
                    = pg_get_serial_sequence('{_TABLE}', 'id')
            ),
            (SELECT max(id) FROM {_TABLE}), 0
        )
    """

    def insert(
        self, columns: TableColumns, threshold: float | None, model_version: str, created_at: datetime
    ) -> list[str]:
        names = ", ".join(columns)
        self._database.execute_sql(_CREATE)
        self._copy(f"COPY {_COPIED} ({names}) FROM STDIN", columns)
        text = _INSERT.format(table=_TABLE, copied=_COPIED, names=names)
        cursor = self._database.execute_sql(text, [threshold, model_version, moment(created_at)])
        return [key for (key,) in cursor.fetchall()]

    def _copy(self, text: str, columns: TableColumns) -> None:
        """The texts are canonical JSON: they have no tabs and no line breaks, but backslashes, which COPY doubles."""
        rows = "\n".join(map("\t".join, zip(*(map(str, column) for column in columns.values()), strict=True)))
        try:
            with self._database.connection().cursor() as cursor, cursor.copy(text) as copy:
                copy.write(rows.replace("\\", "\\\\"))
        except psycopg.DataError as error:  # Peewee does not see it
            raise DataError(*error.args) from error


def new_rows(database: Database) -> NewRows:
    """The statements for the kind of the database."""
    return SqliteNewRows(database) if isinstance(database, SqliteDatabase) else PostgresqlNewRows(database)
