"""Tables of the original app, as its Peewee model creates them, in SQLite and PostgreSQL."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import psycopg

from tests.support.passengers import PASSENGER

OriginalValues = Sequence[Any]  # id, observation_id, observation, proba, true_class

COLUMNS = ("id", "observation_id", "observation", "proba", "true_class")


def body(observation_id: int, **changes: Any) -> str:
    """What the original app stores as the observation: the body of the request."""
    return json.dumps({"id": observation_id, "observation": {**PASSENGER, **changes}})


def good_rows(count: int) -> list[OriginalValues]:
    """Rows with the ids 1, 2, ..., the observation ids 10, 20, ..., and labels in two of three."""
    return [(i, 10 * i, body(10 * i, Age=i % 80), i % 11 / 10, (None, 0, 1)[i % 3]) for i in range(1, count + 1)]


# With the reason for each, in words of the service.
BAD_ROWS: dict[str, OriginalValues] = {
    "observation_id is not": (1001, None, body(1), 0.5, None),
    "observation is null": (1002, 1002, None, 0.5, None),
    "observation is not JSON": (1003, 1003, "no JSON", 0.5, None),
    "observation is not a JSON object": (1004, 1004, "[1]", 0.5, None),
    "observation contains": (1005, 1005, '{"Age": 1e999}', 0.5, None),
    "proba is null": (1006, 1006, body(1006), None, 1),
    "proba is not a number": (1007, 1007, body(1007), 1.5, 1),
    "true_class is not": (1008, 1008, body(1008), 0.5, 2),
    "another observation": (1009, 10, body(10, Age=99), 0.1, None),
    "another proba": (1010, 10, body(10, Age=1), 0.9, None),
    "another true_class": (1011, 20, body(20, Age=2), 0.2, 0),
}


def make_original(url: str, rows: Iterable[OriginalValues], name: str = "prediction", more: str = "") -> None:
    """Creates the table without its constraints, so that it holds bad rows too; `more` are definitions of columns."""
    types = f"observation_id INTEGER, observation TEXT, proba {{real}}, true_class INTEGER{more}"
    create = f"CREATE TABLE {name} (id INTEGER NOT NULL PRIMARY KEY, {types})"
    rows = [tuple(row) for row in rows]
    marks = ["?"] * (len(rows[0]) if rows else len(COLUMNS))
    insert = f"INSERT INTO {name} VALUES ({', '.join(marks)})"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(create.format(real="REAL"))
            connection.executemany(insert, rows)
        return
    with psycopg.connect(url) as postgresql:
        postgresql.execute(create.format(real="DOUBLE PRECISION").encode())
        postgresql.cursor().executemany(insert.replace("?", "%s").encode(), rows)
