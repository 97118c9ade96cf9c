"""The statements for the rows of a whole array. In SQLite each value of a row is a parameter, and the values that all
rows share are three more. In PostgreSQL each column is one parameter. Both are quicker than all values of each row."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from peewee import BigAutoField, Database, DoubleField, Field, IntegrityError, SqliteDatabase

from service.prediction.observation import canonical
from service.storage.statements import chunks, moment
from service.storage.tables import JsonTextField, Prediction

_TABLE = Prediction._meta.table_name
_SHARED = ("threshold", "model_version", "created_at")
_ROWS_AT_ONCE = 1000  # of PostgreSQL, because a parameter is in memory several times
# What a label needs of the row that it belongs to.
_LABEL_STATE = ("id", "observation_id", "predicted_value", "true_class", "true_value", "labelled_at")
_NUMBERS = {BigAutoField: "bigint", DoubleField: "double precision"}

TableColumns = Mapping[str, Sequence[Any]]
Labels = Sequence[tuple[int, Any]]


class SqliteArrays:
    """The statements on the table `prediction` of a SQLite file, within its transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(
        self, columns: TableColumns, threshold: float | None, model_version: str | None, created_at: datetime
    ) -> list[int]:
        """Inserts n rows with distinct ids in the given order and returns their row ids in this order. `columns` has
        the n values of each column that is not null in every row; `threshold`, `model_version` and `created_at` go to
        every row. If an id is known, it raises Peewee's IntegrityError, perhaps after it has inserted some rows."""
        shared = (threshold, model_version, moment(created_at))
        ids: list[int] = []
        for chunk in chunks(list(zip(*columns.values(), strict=True))):
            text = _insert_rows(tuple(columns), len(chunk))
            cursor = self._database.execute_sql(text, [*shared, *chain.from_iterable(chunk)])
            # The transaction has the file to itself, and SQLite counts up from the last id. RETURNING would switch
            # threads once per row.
            ids += range(cursor.lastrowid - len(chunk) + 1, cursor.lastrowid + 1)
        return ids

    def label_states(self, keys: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yields the rows with these observation_ids by column: their id, predicted value, label and its time. They
        are locked until the end of the transaction."""
        cursor = self._database.execute_sql(
            f"{_FIND_LABELS} IN (SELECT value FROM json_each(?))", [canonical(list(keys))]
        )
        return _label_states(cursor.fetchall())

    def label(self, column: str, labels: Labels, labelled_at: datetime) -> None:
        """Sets true labels, given as pairs of a row id and a label, in the column `true_class` or `true_value`."""
        for chunk in chunks(labels):
            values = [*chain.from_iterable(chunk), moment(labelled_at)]
            self._database.execute_sql(_label_rows(column, len(chunk)), values)


class PostgresqlArrays:
    """The same statements in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(
        self, columns: TableColumns, threshold: float | None, model_version: str | None, created_at: datetime
    ) -> list[int]:
        """The same. A statement looks first whether the first id is known, so that a repeated array is no error in the
        log of the server."""
        shared = (threshold, model_version, moment(created_at))
        ids: list[int] = []
        for start in range(0, len(columns["observation_id"]), _ROWS_AT_ONCE):
            chunk = {name: column[start : start + _ROWS_AT_ONCE] for name, column in columns.items()}
            keys = chunk["observation_id"]
            arrays = [_array(name, column) for name, column in chunk.items()]
            cursor = self._database.execute_sql(_insert_columns(tuple(columns)), [*shared, *arrays, keys[0]])
            inserted = {key: id_ for id_, key in cursor.fetchall()}
            if not inserted:
                raise IntegrityError(f"The id {keys[0]} is known.")
            ids += [inserted[key] for key in keys]
        return ids

    def label_states(self, keys: Collection[str]) -> Iterator[dict[str, Any]]:
        """The same."""
        # All writers lock in the same order.
        text = f"{_FIND_LABELS} = ANY(string_to_array(%s, E'\\n')) ORDER BY id FOR UPDATE"
        return _label_states(self._database.execute_sql(text, [_array("observation_id", list(keys))]).fetchall())

    def label(self, column: str, labels: Labels, labelled_at: datetime) -> None:
        """The same."""
        ids, values = zip(*labels, strict=True)
        arrays = [_array("id", ids), _array(column, values)]
        self._database.execute_sql(_label_columns(column), [moment(labelled_at), *arrays])


ArrayStatements = SqliteArrays | PostgresqlArrays


def array_statements(database: Database) -> ArrayStatements:
    """The statements for the kind of the database."""
    return SqliteArrays(database) if isinstance(database, SqliteDatabase) else PostgresqlArrays(database)


@lru_cache(maxsize=64)
def _insert_rows(names: tuple[str, ...], size: int) -> str:
    row = f"(?1, ?2, ?3{', ?' * len(names)})"
    return f"INSERT INTO {_TABLE} ({_listed(_SHARED + names)}) VALUES {', '.join([row] * size)}"


@lru_cache(maxsize=64)
def _label_rows(name: str, size: int) -> str:
    values = ", ".join(["(?, ?)"] * size)
    return (
        f"WITH item (id, label) AS (VALUES {values}) UPDATE {_TABLE} SET {_listed([name])} = item.label, "
        f"labelled_at = ? FROM item WHERE {_TABLE}.id = item.id"
    )


@lru_cache(maxsize=64)
def _insert_columns(names: tuple[str, ...]) -> str:
    items = [f"item.{name}::json" if isinstance(_field(name), JsonTextField) else f"item.{name}" for name in names]
    return (
        f"INSERT INTO {_TABLE} ({_listed(_SHARED + names)}) "
        f"SELECT %s::double precision, %s::text, %s::timestamptz, {', '.join(items)} "
        f"FROM unnest({', '.join(map(_parameter, names))}) AS item ({', '.join(names)}) "
        f"WHERE NOT EXISTS (SELECT FROM {_TABLE} WHERE observation_id = %s) RETURNING id, observation_id"
    )


@lru_cache(maxsize=64)
def _label_columns(name: str) -> str:
    return (
        f"UPDATE {_TABLE} SET {_listed([name])} = item.label, labelled_at = %s "
        f"FROM unnest({_parameter('id')}, {_parameter(name)}) AS item (id, label) WHERE {_TABLE}.id = item.id"
    )


def _label_states(rows: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        state = dict(zip(_LABEL_STATE, row, strict=True))
        state["labelled_at"] = Prediction.labelled_at.python_value(state["labelled_at"])
        yield state


def _parameter(name: str) -> str:
    kind = _NUMBERS.get(type(_field(name)))
    return f"%s::{kind}[]" if kind else "string_to_array(%s, E'\\n')"


def _array(name: str, values: Sequence[Any]) -> str:
    """A column as one parameter. The texts are canonical JSON, which has no line breaks."""
    if type(_field(name)) in _NUMBERS:
        return "{" + canonical(values)[1:-1] + "}"
    return "\n".join(values)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_field(name).column_name for name in names)


def _field(name: str) -> Field:
    field: Field = Prediction._meta.fields[name]
    return field


_FIND_LABELS = f"SELECT {_listed(_LABEL_STATE)} FROM {_TABLE} WHERE observation_id"
