"""Creates the log: one row per prediction, and the replaced labels.

A `prediction` table of the original service (observation_id, observation, proba, true_class) is renamed to
`prediction_original` and its rows are copied; nothing is dropped."""

import json
from datetime import UTC, datetime
from typing import Any

from peewee import Database, SqliteDatabase

_SQLITE = {"key": "INTEGER PRIMARY KEY", "real": "REAL", "json": "TEXT", "time": "TEXT", "end": "STRICT"}
_POSTGRESQL = {
    "key": "BIGSERIAL PRIMARY KEY",
    "real": "DOUBLE PRECISION",
    "json": "JSON",
    "time": "TIMESTAMPTZ",
    "end": "",
}

_TABLES = (
    """
    CREATE TABLE prediction (
        id {key},
        observation_id TEXT NOT NULL UNIQUE,
        observation {json} NOT NULL,
        proba {real},
        probas {json},
        predicted_class TEXT,
        predicted_value {real},
        threshold {real},
        true_class TEXT,
        true_value {real},
        model_version TEXT,
        created_at {time} NOT NULL,
        labelled_at {time}
    ) {end}
    """,
    """
    CREATE TABLE label_correction (
        id {key},
        prediction_id {integer} NOT NULL REFERENCES prediction (id) ON DELETE CASCADE,
        replaced_class TEXT,
        replaced_value {real},
        labelled_at {time} NOT NULL,
        replaced_at {time} NOT NULL
    ) {end}
    """,
    "CREATE INDEX label_correction_prediction_id ON label_correction (prediction_id)",
)

_ORIGINAL_COLUMNS = {"observation_id", "observation", "proba", "true_class"}
_ORIGINAL_THRESHOLD = 0.5


def up(migrator: Any, database: Database) -> None:
    original = "prediction" in database.get_tables() and _is_original(database)
    if original:
        database.execute_sql("ALTER TABLE prediction RENAME TO prediction_original")
    sqlite = isinstance(database, SqliteDatabase)
    types = {**(_SQLITE if sqlite else _POSTGRESQL), "integer": "INTEGER" if sqlite else "BIGINT"}
    for statement in _TABLES:
        database.execute_sql(statement.format(**types))
    if original:
        _take_over(database)


def _is_original(database: Database) -> bool:
    names = {column.name for column in database.get_columns("prediction")}
    return names >= _ORIGINAL_COLUMNS and "model_version" not in names


def _take_over(database: Database) -> None:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    mark = database.param
    rows = database.execute_sql(
        "SELECT observation_id, observation, proba, true_class FROM prediction_original ORDER BY id"
    ).fetchall()
    for observation_id, observation, proba, true_class in rows:
        values = (
            json.dumps(observation_id, ensure_ascii=False),
            _json_text(observation),
            proba,
            json.dumps(proba >= _ORIGINAL_THRESHOLD),
            None if true_class is None else json.dumps(bool(true_class)),
            now,
            None if true_class is None else now,
        )
        database.execute_sql(
            "INSERT INTO prediction (observation_id, observation, proba, predicted_class, true_class, created_at, "
            f"labelled_at) VALUES ({', '.join([mark] * len(values))})",
            values,
        )


def _json_text(observation: str) -> str:
    """The observation as JSON; text that is not JSON becomes a JSON string."""
    try:
        return json.dumps(json.loads(observation), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(observation, ensure_ascii=False)
