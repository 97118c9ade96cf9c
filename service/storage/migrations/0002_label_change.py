"""Creates a table of changes that readers poll: triggers add an entry for each labelled, corrected or erased row.

Entries are ordered by transaction number (PostgreSQL) or by a sequence (SQLite, which has one writer at a time), not by
clocks. New predictions have no entry, because their ids show them."""

from typing import Any

from peewee import Database, SqliteDatabase

_SQLITE = (
    "CREATE TABLE label_change (id INTEGER PRIMARY KEY, prediction_id INTEGER NOT NULL) STRICT",
    "CREATE TRIGGER prediction_labelled AFTER UPDATE ON prediction BEGIN "
    "INSERT INTO label_change (prediction_id) VALUES (NEW.id); END",
    "CREATE TRIGGER prediction_erased AFTER DELETE ON prediction BEGIN "
    "INSERT INTO label_change (prediction_id) VALUES (OLD.id); END",
)

_POSTGRESQL = (
    "CREATE TABLE label_change (txid BIGINT NOT NULL, prediction_id BIGINT NOT NULL, "
    "PRIMARY KEY (txid, prediction_id))",
    "CREATE FUNCTION note_label_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO label_change SELECT txid_current(), id FROM changed ON CONFLICT DO NOTHING; RETURN NULL; END $$",
    "CREATE TRIGGER prediction_labelled AFTER UPDATE ON prediction REFERENCING OLD TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE PROCEDURE note_label_change()",
    "CREATE TRIGGER prediction_erased AFTER DELETE ON prediction REFERENCING OLD TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE PROCEDURE note_label_change()",
)


def up(migrator: Any, database: Database) -> None:
    for statement in _SQLITE if isinstance(database, SqliteDatabase) else _POSTGRESQL:
        database.execute_sql(statement)
