"""Whether the log can be written to now, without writing a row."""

from peewee import Database, OperationalError, SqliteDatabase

# What /predict and /update run. EXPLAIN takes the locks of a statement and checks its tables, columns and privileges,
# but does not run it: no row is written, and no id is used up.
_NEEDED = (
    "INSERT INTO prediction (observation_id, observation, proba, probas, predicted_class, predicted_value, threshold, "
    "model_version, created_at) VALUES ('', '{}', NULL, NULL, NULL, NULL, NULL, NULL, '2000-01-01') RETURNING id",
    "UPDATE prediction SET true_class = true_class, true_value = true_value, labelled_at = labelled_at WHERE id = 0",
    "INSERT INTO label_correction (prediction_id, replaced_class, replaced_value, labelled_at, replaced_at) "
    "VALUES (0, NULL, NULL, '2000-01-01', '2000-01-01') RETURNING id",
    "INSERT INTO label_change (prediction_id) VALUES (0)",
    "INSERT INTO label_event (prediction_id, true_class, true_value, labelled_at, is_correction) "
    "VALUES (0, NULL, NULL, '2000-01-01', 1 = 0)",
)
_MAY_COUNT = "SELECT has_sequence_privilege(pg_get_serial_sequence('{table}', 'id'), 'USAGE, UPDATE')"


def require_writable(database: Database) -> None:
    """Within a transaction: raises Peewee's DatabaseError unless the database is writable, has the tables of the log,
    and lets this user write to them. It waits for a table that another transaction has locked."""
    if isinstance(database, SqliteDatabase):
        # Only a commit detects a full disk, so the present number is written again.
        database.pragma("user_version", database.pragma("user_version"))
    elif database.execute_sql("SHOW transaction_read_only").fetchone()[0] == "on":
        raise OperationalError("the server is read-only")
    for statement in _NEEDED:
        database.execute_sql(f"EXPLAIN {statement}").fetchall()
    if not isinstance(database, SqliteDatabase):
        for table in ("prediction", "label_correction", "label_event"):
            if database.execute_sql(_MAY_COUNT.format(table=table)).fetchone()[0] is False:
                raise OperationalError(f"the user may not use the sequence of {table}")
