"""Creates the tables of the feeds: every label in the order in which it came, and the ranges that were exported.

Triggers add each label that an UPDATE writes, so that no part of the code can forget it, and remove those of erased
rows. INSERT has no trigger, which would make an array of predictions in SQLite a fifth slower: a new row gets its label
by an UPDATE. The labels of before come first, in the order of their times: the replaced ones from `label_correction`,
the others from `prediction`. No other label can come meanwhile, because the creation of the triggers locked the
table."""

from typing import Any

from peewee import Database, SqliteDatabase

_SQLITE = {"key": "INTEGER PRIMARY KEY AUTOINCREMENT", "integer": "INTEGER", "real": "REAL", "end": "STRICT"}
_POSTGRESQL = {"key": "BIGSERIAL PRIMARY KEY", "integer": "BIGINT", "real": "DOUBLE PRECISION", "end": ""}
_SQLITE |= {"time": "TEXT", "truth": "INTEGER"}
_POSTGRESQL |= {"time": "TIMESTAMPTZ", "truth": "BOOLEAN"}

_TABLES = (
    """
    CREATE TABLE label_event (
        id {key},
        prediction_id {integer} NOT NULL,
        true_class TEXT,
        true_value {real},
        labelled_at {time} NOT NULL,
        is_correction {truth} NOT NULL
    ) {end}
    """,
    """
    CREATE TABLE feed_range (
        feed TEXT NOT NULL CHECK (feed IN ('predictions', 'labels')),
        url TEXT NOT NULL,
        first {integer} NOT NULL,
        last {integer} NOT NULL CHECK (last >= first),
        day TEXT NOT NULL,
        written_at {time},
        PRIMARY KEY (url, feed, first)
    ) {end}
    """,
)

_COLUMNS = "label_event (prediction_id, true_class, true_value, labelled_at, is_correction)"

_SQLITE_TRIGGERS = (
    "CREATE TRIGGER prediction_label_changed AFTER UPDATE OF true_class, true_value ON prediction "
    "WHEN (NEW.true_class IS NOT NULL OR NEW.true_value IS NOT NULL) "
    "AND (NEW.true_class IS NOT OLD.true_class OR NEW.true_value IS NOT OLD.true_value) BEGIN "
    f"INSERT INTO {_COLUMNS} VALUES (NEW.id, NEW.true_class, NEW.true_value, "
    "coalesce(NEW.labelled_at, NEW.created_at), OLD.true_class IS NOT NULL OR OLD.true_value IS NOT NULL); END",
    "CREATE TRIGGER prediction_labels_erased AFTER DELETE ON prediction BEGIN "
    "DELETE FROM label_event WHERE prediction_id = OLD.id; END",
)

# One statement for all rows is quicker than one for each row.
_POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION add_changed_labels() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"INSERT INTO {_COLUMNS} SELECT present.id, present.true_class, present.true_value, "
    "coalesce(present.labelled_at, present.created_at), "
    "before.true_class IS NOT NULL OR before.true_value IS NOT NULL "
    "FROM present JOIN before ON before.id = present.id "
    "WHERE (present.true_class IS NOT NULL OR present.true_value IS NOT NULL) "
    "AND (present.true_class IS DISTINCT FROM before.true_class "
    "OR present.true_value IS DISTINCT FROM before.true_value) "
    "ORDER BY present.id; RETURN NULL; END $$",
    "CREATE FUNCTION remove_erased_labels() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "DELETE FROM label_event USING erased WHERE prediction_id = erased.id; RETURN NULL; END $$",
    "CREATE TRIGGER prediction_label_changed AFTER UPDATE ON prediction "
    "REFERENCING OLD TABLE AS before NEW TABLE AS present "
    "FOR EACH STATEMENT EXECUTE PROCEDURE add_changed_labels()",
    "CREATE TRIGGER prediction_labels_erased AFTER DELETE ON prediction REFERENCING OLD TABLE AS erased "
    "FOR EACH STATEMENT EXECUTE PROCEDURE remove_erased_labels()",
)

# The labels of one prediction keep their order, even if a clock went back between them.
_LABELS_OF_BEFORE = f"""
    WITH label AS (
        SELECT prediction_id, replaced_class AS true_class, replaced_value AS true_value, labelled_at,
            0 AS is_present, id
        FROM label_correction
        UNION ALL
        SELECT id, true_class, true_value, coalesce(labelled_at, created_at), 1, 0
        FROM prediction WHERE true_class IS NOT NULL OR true_value IS NOT NULL
    ), placed AS (
        SELECT label.*, row_number() OVER earlier AS place, max(labelled_at) OVER earlier AS reached FROM label
        WINDOW earlier AS (PARTITION BY prediction_id ORDER BY is_present, id)
    )
    INSERT INTO {_COLUMNS}
    SELECT prediction_id, true_class, true_value, labelled_at, place > 1 FROM placed
    ORDER BY reached, prediction_id, place
"""


def up(migrator: Any, database: Database) -> None:
    is_sqlite = isinstance(database, SqliteDatabase)
    for statement in _TABLES:
        database.execute_sql(statement.format(**(_SQLITE if is_sqlite else _POSTGRESQL)))
    for statement in _SQLITE_TRIGGERS if is_sqlite else _POSTGRESQL_TRIGGERS:
        database.execute_sql(statement)
    database.execute_sql(_LABELS_OF_BEFORE)
    database.execute_sql("CREATE INDEX label_event_prediction_id ON label_event (prediction_id)")
