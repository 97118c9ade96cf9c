"""Creates the tables of learning: jobs, the workers that run them, and the scores of logged rows by other models than
the one that answered. A model of the registry gets the verdict of the gate.

At most one job of a kind is queued or running: a unique index holds this, whatever two requests do at once."""

from typing import Any

from peewee import Database, SqliteDatabase

_SQLITE = {"key": "INTEGER PRIMARY KEY AUTOINCREMENT", "integer": "INTEGER", "real": "REAL", "end": "STRICT"}
_POSTGRESQL = {"key": "BIGSERIAL PRIMARY KEY", "integer": "BIGINT", "real": "DOUBLE PRECISION", "end": ""}
_SQLITE |= {"json": "TEXT", "time": "TEXT"}
_POSTGRESQL |= {"json": "JSON", "time": "TIMESTAMPTZ"}

_STATEMENTS = (
    """
    CREATE TABLE job (
        id {key},
        kind TEXT NOT NULL,
        arguments {json} NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
        progress {real} NOT NULL CHECK (progress BETWEEN 0 AND 1),
        message TEXT NOT NULL,
        attempt {integer} NOT NULL,
        worker TEXT,
        heartbeat {time},
        created_at {time} NOT NULL,
        created_by TEXT NOT NULL,
        started_at {time},
        finished_at {time},
        result {json},
        error TEXT
    ) {end}
    """,
    "CREATE UNIQUE INDEX job_one_of_a_kind ON job (kind) WHERE state IN ('queued', 'running')",
    """
    CREATE TABLE worker (
        name TEXT PRIMARY KEY,
        seen_at {time} NOT NULL
    ) {end}
    """,
    """
    CREATE TABLE shadow_score (
        prediction_id {integer} NOT NULL REFERENCES prediction (id) ON DELETE CASCADE,
        version TEXT NOT NULL REFERENCES model (version) ON DELETE CASCADE,
        proba {real},
        probas {json},
        predicted_class TEXT,
        predicted_value {real},
        PRIMARY KEY (version, prediction_id)
    ) {end}
    """,
    "CREATE INDEX shadow_score_prediction ON shadow_score (prediction_id)",
    "ALTER TABLE model ADD COLUMN verdict {json}",
)


def up(migrator: Any, database: Database) -> None:
    types = _SQLITE if isinstance(database, SqliteDatabase) else _POSTGRESQL
    for statement in _STATEMENTS:
        database.execute_sql(statement.format(**types))
