"""Migrations keep every row, correction, trigger and index; ids are never given again."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from peewee import Database
from playhouse.migrations import Runner

from service.export.reset_dump import dump_log
from service.prediction.observation import canonical
from service.storage.connection import DatabaseError, connect
from service.storage.deletion import Erasure, Reset
from service.storage.migrate import MIGRATIONS, prepare
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import Client
from tests.support.filled import insert
from tests.support.original_table import BAD_ROWS, body, good_rows, make_original
from tests.support.passengers import PASSENGER, PROJECT, prediction

CONTENT = (
    "SELECT * FROM prediction ORDER BY id",
    "SELECT * FROM label_correction ORDER BY id",
    "SELECT * FROM label_change ORDER BY id",
    "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'index') AND tbl_name LIKE 'prediction%' "
    "AND name NOT IN ('prediction_label_changed', 'prediction_labels_erased') ORDER BY name",  # of 0006_feeds
)

LATER = [  # what `old_log` lacks
    "0003_ids_are_not_reused",
    "0004_models",
    "0005_learning",
    "0006_feeds",
    "0007_label_files",
]


def content(path: Path) -> list[list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(statement).fetchall() for statement in CONTENT]


def old_log(path: Path, rows: int = 100) -> Path:
    """A log as the first two migrations made it, with labels, corrections, and an erased newest row."""
    database = connect(f"sqlite:///{path}")
    with database.connection_context():
        database.execute_sql("PRAGMA journal_mode = wal")
        Runner(database, str(MIGRATIONS)).up("0002_label_change")
        with database.atomic():
            database.execute_sql(
                "WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
                "INSERT INTO prediction (observation_id, observation, proba, predicted_class, created_at) "
                "SELECT CAST(n AS TEXT), '{\"a\":' || n || '}', n / (n + 1.5), 'true', '2026-01-01' FROM numbers",
                (rows,),
            )
            database.execute_sql("UPDATE prediction SET true_class = 'true', labelled_at = '2026-01-02' WHERE id % 2")
            database.execute_sql(
                "INSERT INTO label_correction (prediction_id, replaced_class, labelled_at, replaced_at) "
                "SELECT id, 'false', '2026-01-02', '2026-01-03' FROM prediction WHERE id % 3 = 0"
            )
            database.execute_sql("DELETE FROM prediction WHERE id = ?", (rows,))
            database.execute_sql("CREATE INDEX of_a_user ON prediction (created_at)")
            database.execute_sql("CREATE VIEW view_of_a_user AS SELECT id FROM prediction")
    return path


def test_the_copy_has_every_row_correction_trigger_and_index(tmp_path: Path) -> None:
    path = old_log(tmp_path / "log.db")
    before = content(path)
    assert len(before[1]) == 33

    assert prepare(connect(f"sqlite:///{path}")) == LATER

    assert content(path) == before
    assert prepare(connect(f"sqlite:///{path}")) == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM view_of_a_user").fetchone() == (99,)


def test_a_table_that_was_copied_before_is_left_as_it_is(tmp_path: Path) -> None:
    path = old_log(tmp_path / "log.db")
    prepare(connect(f"sqlite:///{path}"))
    before = content(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM schema_migration WHERE name LIKE '0003%'")

    assert prepare(connect(f"sqlite:///{path}")) == LATER[:1]
    assert content(path) == before


def test_the_copied_table_still_cascades_notes_changes_and_refuses_a_known_id(tmp_path: Path) -> None:
    path = old_log(tmp_path / "log.db")
    prepare(connect(f"sqlite:///{path}"))
    with connect(f"sqlite:///{path}") as database:
        changes = "SELECT prediction_id FROM label_change ORDER BY id DESC LIMIT 2"
        database.execute_sql("UPDATE prediction SET true_class = 'false' WHERE id = 1")
        database.execute_sql("DELETE FROM prediction WHERE id = 3")

        assert database.execute_sql(changes).fetchall() == [(3,), (1,)]
        assert LabelCorrection.select().where(LabelCorrection.prediction == 3).count(database) == 0
        with pytest.raises(Exception, match="UNIQUE"):
            insert(database, "1")
        assert insert(database, "new") == 101  # 100 was erased before the migration


def test_an_id_is_not_given_again_after_an_erasure(database: Database, database_url: str) -> None:
    first = [insert(database, str(i)) for i in range(3)]
    session = Session(connect(database_url))
    Erasure(session, log_reader(session.database)).one("2")

    assert insert(database, "2") > max(first)


def test_an_id_is_not_given_again_after_a_reset(database: Database, database_url: str, tmp_path: Path) -> None:
    first = [insert(database, str(i)) for i in range(3)]

    def dump(database: Database, name: str) -> Any:
        return dump_log(database, name, folder=tmp_path / "exports")

    Reset(Session(connect(database_url)), dump).empty()

    assert Prediction.select().count(database) == 0
    assert insert(database, "0") > max(first)


def test_an_array_of_new_predictions_gets_the_ids_of_its_rows_after_an_erasure(
    client: Client, database_url: str
) -> None:
    client.post("/predict", json=[prediction(i) for i in range(3)])
    database = connect(database_url)
    with database.connection_context():
        database.execute_sql("DELETE FROM prediction WHERE id = 3")

        answers = [client.post("/predict", json=prediction("x")).json]
        answers += client.post("/predict", json=[prediction("y"), prediction("z")]).json

        rows = dict(Prediction.select(Prediction.observation_id, Prediction.id).tuples().execute(database))
    assert [answer["id"] for answer in answers] == [4, 5, 6]
    assert [rows[f'"{answer["observation_id"]}"'] for answer in answers] == [4, 5, 6]


@pytest.mark.parametrize(
    ("statements", "table"),
    [
        (["CREATE TABLE prediction (x INTEGER)"], "prediction already"),
        (["CREATE TABLE prediction (observation_id INTEGER, observation TEXT, proba REAL)"], "prediction already"),
        (
            [
                "CREATE TABLE prediction (id INTEGER PRIMARY KEY, observation_id INTEGER, observation TEXT, "
                "proba DOUBLE PRECISION, true_class INTEGER)",
                "CREATE TABLE prediction_original (x INTEGER)",
            ],
            "prediction_original already",
        ),
    ],
)
def test_a_table_in_the_way_is_named_and_nothing_changes(database_url: str, statements: list[str], table: str) -> None:
    with connect(database_url) as database:
        for statement in statements:
            database.execute_sql(statement)
        before = database.get_tables()

    with pytest.raises(DatabaseError, match=f"it has a table {table}; rename"):
        prepare(connect(database_url))

    with connect(database_url) as database:
        assert set(before) <= set(database.get_tables()) <= {*before, "schema_migration"}


def test_bad_rows_of_an_original_table_stay_there_and_are_counted(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_original(database_url, [*good_rows(30), *BAD_ROWS.values()])
    database = connect(database_url)

    prepare(database)

    with database.connection_context():
        rows = list(Prediction.select().order_by(Prediction.id).execute(database))
        original = database.execute_sql("SELECT count(*) FROM prediction_original").fetchone()[0]
    assert [row.observation_id for row in rows] == [str(10 * i) for i in range(1, 31)]
    assert rows[0].observation == canonical({**PASSENGER, "Age": 1})
    assert [(row.predicted_class, row.threshold, row.true_class) for row in rows[3:6]] == [
        ("false", 0.5, "false"),
        ("true", 0.5, "true"),
        ("true", 0.5, None),
    ]
    assert original == 30 + len(BAD_ROWS)
    assert f"30 of {30 + len(BAD_ROWS)} rows" in caplog.text


def test_a_text_of_an_original_table_that_is_not_utf_8_stays_there(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/log.db", good_rows(2))
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection, connection:
        connection.execute("UPDATE prediction SET observation = CAST(x'7bff7d' AS TEXT) WHERE id = 1")

    prepare(connect(f"sqlite:///{tmp_path}/log.db"))

    with connect(f"sqlite:///{tmp_path}/log.db") as database:
        assert Prediction.select().count(database) == 1


def test_a_repeated_row_of_an_original_table_gives_its_label(database_url: str) -> None:
    make_original(database_url, [(1, 7, body(7), 0.5, None), (2, 7, body(7), 0.5, 1), (3, 7, body(7), 0.5, 0)])
    database = connect(database_url)

    prepare(database)

    with database.connection_context():
        assert list(Prediction.select(Prediction.true_class).tuples().execute(database)) == [("true",)]


MIGRATE = "from service.storage.connection import connect; from service.storage.migrate import prepare; "


def started(path: Path, code: str = "") -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", f"{MIGRATE}{code}print(prepare(connect('sqlite:///{path}')))"]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.long
def test_eight_processes_that_migrate_at_once_succeed_and_one_copies(tmp_path: Path) -> None:
    path = old_log(tmp_path / "log.db", 20_000)
    before = content(path)
    processes = [started(path) for _ in range(8)]
    ended = [process.communicate(timeout=110) for process in processes]

    assert [process.returncode for process in processes] == [0] * 8, ended
    assert sorted(out for out, _ in ended) == [f"{LATER}\n".encode(), *[b"[]\n"] * 7]
    assert content(path) == before


@pytest.mark.long  # starts a process for each statement
@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE prediction", "ALTER TABLE prediction_copy", "CREATE TRIGGER", 'INSERT INTO "schema_migration"'],
)
def test_a_process_that_is_killed_while_it_copies_leaves_the_log_as_it_was(tmp_path: Path, statement: str) -> None:
    path = old_log(tmp_path / "log.db", 5_000)
    before = content(path)
    kill = (
        "import os, peewee; run = peewee.Database.execute_sql; "
        "peewee.SqliteDatabase.execute_sql = lambda self, sql, *rest: os.kill(os.getpid(), 9) "
        f"if sql.startswith({statement!r}) else run(self, sql, *rest); "
    )
    process = started(path, kill)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    assert content(path) == before
    assert prepare(connect(f"sqlite:///{path}")) == LATER
    assert content(path) == before


def test_a_copy_that_is_not_complete_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    migration = folder / "0003_ids_are_not_reused.py"
    migration.write_text(migration.read_text().replace("FROM prediction ORDER BY id", "FROM prediction WHERE id > 1"))
    monkeypatch.setattr("service.storage.migrate.MIGRATIONS", folder)
    path = old_log(tmp_path / "log.db")
    before = content(path)

    with pytest.raises(ValueError, match="not complete"):
        prepare(connect(f"sqlite:///{path}"))

    assert content(path) == before
