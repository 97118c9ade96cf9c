"""SQLite gave the `id` of the newest row again after that row was erased; AUTOINCREMENT never does. A PostgreSQL
sequence never did.

SQLite can add AUTOINCREMENT only to a new table, so the rows are copied. The runner does this in one transaction and
with foreign keys off; otherwise the drop of the old table would delete every correction. The drop also removes the
triggers and indexes of the table: they are created again as they were."""

from typing import Any

from peewee import Database, OperationalError, SqliteDatabase

_KEY = "INTEGER PRIMARY KEY"
_COUNTS = (
    "SELECT (SELECT count(*) FROM prediction), (SELECT coalesce(max(id), 0) FROM prediction), "
    "(SELECT count(*) FROM label_correction), (SELECT count(*) FROM label_change)"
)
# The greatest id that was ever given, as far as is known: an erased row has an entry in label_change.
_GREATEST = (
    "SELECT max((SELECT coalesce(max(id), 0) FROM prediction), "
    "(SELECT coalesce(max(prediction_id), 0) FROM label_change))"
)


def up(migrator: Any, database: Database) -> None:
    if not isinstance(database, SqliteDatabase):
        return
    if database.pragma("foreign_keys"):
        raise OperationalError("foreign keys are on, so the copy of the table would delete the corrections")
    (table,) = _one(database, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'prediction'")
    if "AUTOINCREMENT" in table.upper():
        return
    before = _one(database, _COUNTS)
    attached = database.execute_sql(
        "SELECT sql FROM sqlite_master WHERE tbl_name = 'prediction' AND type <> 'table' AND sql IS NOT NULL"
    ).fetchall()
    (greatest,) = _one(database, _GREATEST)
    columns = table[table.index("(") :]
    database.pragma("legacy_alter_table", 1)  # the new name changes no view or foreign key that names `prediction`
    try:
        database.execute_sql(f"CREATE TABLE prediction_copy {columns.replace(_KEY, _KEY + ' AUTOINCREMENT', 1)}")
        database.execute_sql("INSERT INTO prediction_copy SELECT * FROM prediction ORDER BY id")
        database.execute_sql("DROP TABLE prediction")
        database.execute_sql("ALTER TABLE prediction_copy RENAME TO prediction")
    finally:
        database.pragma("legacy_alter_table", 0)
    for (statement,) in attached:
        database.execute_sql(statement)
    database.execute_sql("DELETE FROM sqlite_sequence WHERE name IN ('prediction', 'prediction_copy')")
    database.execute_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('prediction', ?)", (greatest,))
    if _one(database, _COUNTS) != before:
        raise OperationalError("the copy of the table prediction is not complete; nothing was changed")


def _one(database: Database, statement: str) -> Any:
    return database.execute_sql(statement).fetchone()
