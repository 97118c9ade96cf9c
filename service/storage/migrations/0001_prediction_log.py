"""Creates the log: one row per prediction, and the replaced labels.

A `prediction` table of the original app (observation_id, observation, proba, true_class) is renamed to
`prediction_original` and its rows are copied; nothing is dropped. A row that the log cannot hold stays there only."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from peewee import Database, OperationalError, SqliteDatabase

from service.prediction.observation import canonical
from service.prediction.original_row import ORIGINAL_THRESHOLD, OriginalRow, RefusedRow
from service.storage.original_log import any_text

_log = logging.getLogger("service")

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

_ORIGINAL_COLUMNS = {"id", "observation_id", "observation", "proba", "true_class"}


def up(migrator: Any, database: Database) -> None:
    tables = set(database.get_tables())
    original = "prediction" in tables and _is_original(database)
    if {"prediction_original" if original else "prediction"} & tables:
        raise OperationalError(
            "it has a table prediction" + ("_original" if original else "") + " already; rename that table, or set "
            "DATABASE_URL to another database and use `python -m service import`"
        )
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
    now = datetime.now(UTC)
    count, rows = _original_rows(database)
    marks = ", ".join([database.param] * 8)
    for key, row in rows.items():
        values = (
            key,
            row.observation.text,
            row.proba,
            canonical(row.proba >= ORIGINAL_THRESHOLD),
            ORIGINAL_THRESHOLD,
            None if row.true_class is None else canonical(row.true_class),
            _text(row.created_at or now),
            None if row.true_class is None else _text(now),
        )
        database.execute_sql(
            "INSERT INTO prediction (observation_id, observation, proba, predicted_class, threshold, true_class, "
            f"created_at, labelled_at) VALUES ({marks})",
            values,
        )
    if len(rows) < count:
        _log.warning(
            "%d of %d rows of the original table are in the log; the others (bad rows, or a known id) are only in "
            "prediction_original",
            len(rows),
            count,
        )


def _original_rows(database: Database) -> tuple[int, dict[str, OriginalRow]]:
    """The number of rows, and the rows that the log can hold by observation_id. Of two rows with one id the first
    counts; it takes the label of the second, if it has none and they are otherwise the same."""
    originals = _originals(database)
    rows: dict[str, OriginalRow] = {}
    for values in originals:
        try:
            row = OriginalRow.of(values)
        except RefusedRow:
            continue
        first = rows.setdefault(row.observation.key, row)
        if first.true_class is None and first.proba == row.proba and first.has_same_observation(row.observation.text):
            rows[row.observation.key] = replace(first, true_class=row.true_class)
    return len(originals), rows


def _originals(database: Database) -> list[dict[str, Any]]:
    if isinstance(database, SqliteDatabase):
        database.connection().text_factory = any_text
    try:
        cursor = database.execute_sql("SELECT * FROM prediction_original ORDER BY id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    finally:
        if isinstance(database, SqliteDatabase):
            database.connection().text_factory = str


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
