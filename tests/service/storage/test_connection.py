"""Connecting by URL, and the schema: created once by concurrent processes, migrated with its rows, never dropped."""

import logging
import multiprocessing
import sqlite3
import sys
import traceback
from contextlib import closing
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from peewee import Database, IntegrityError, OperationalError

from service.errors import Unavailable
from service.settings import Settings
from service.storage.connection import DatabaseError, connect, connection_limit, database_of, kind
from service.storage.migrate import MIGRATIONS, prepare, require_log
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction
from service.telemetry.log_format import configure


def _prepare_in_process(url: str, start: "multiprocessing.synchronize.Barrier") -> None:
    start.wait()
    prepare(connect(url))


def test_preparing_twice_runs_each_migration_once(database_url: str) -> None:
    database = connect(database_url)

    assert prepare(database) == [path.stem for path in sorted(MIGRATIONS.glob("0*.py"))]
    assert prepare(database) == []
    assert database.is_closed()


@pytest.mark.long  # eight processes
def test_eight_processes_can_prepare_at_the_same_time(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(8)
    processes = [context.Process(target=_prepare_in_process, args=(database_url, start)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 8


def test_the_models_fit_the_migrated_tables(database: Database) -> None:
    for model in (Prediction, LabelCorrection):
        columns = {column.name: column for column in database.get_columns(model._meta.table_name)}

        assert set(columns) == set(model._meta.columns)
        for name, field in model._meta.columns.items():
            assert columns[name].null == field.null or field.primary_key


def test_the_database_enforces_unique_ids(database: Database) -> None:
    insert = (
        "INSERT INTO prediction (observation_id, observation, created_at) "
        "VALUES ('1', '{}', '2026-01-01T00:00:00+00:00')"
    )
    database.execute_sql(insert)

    with pytest.raises(IntegrityError):
        database.execute_sql(insert)


def test_a_log_without_the_unique_constraint_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    with closing(sqlite3.connect(tmp_path / "predictions.db")) as connection, connection:
        connection.execute("ALTER TABLE prediction RENAME TO aside")
        connection.execute("CREATE TABLE prediction AS SELECT * FROM aside")

    with pytest.raises(DatabaseError, match="no UNIQUE constraint"):
        prepare(connect(url))


def test_sqlite_flushes_every_commit_and_waits_for_locks(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path}/predictions.db")
    prepare(database)

    names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
    with database.connection_context():
        pragmas = [database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert pragmas == ["wal", 2, 5000, 1]


def test_a_sqlite_url_is_relative_to_the_folder_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    prepare(connect("sqlite:///relative.db"))
    prepare(connect(f"sqlite:///{tmp_path}/deep/absolute.db"))

    assert (tmp_path / "relative.db").exists()
    assert (tmp_path / "deep" / "absolute.db").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_both_forms_of_a_postgresql_url_connect(postgresql_url: str, scheme: str) -> None:
    database = connect(postgresql_url.replace("postgresql", scheme, 1))

    assert kind(database) == "postgresql"
    assert prepare(database)


def test_a_file_that_is_not_a_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "predictions.db"
    file.write_bytes(b"not a database at all, " * 100)

    with pytest.raises(DatabaseError, match="not a database"):
        prepare(connect(f"sqlite:///{file}"))

    assert file.read_bytes() == b"not a database at all, " * 100


def test_an_unreachable_server_is_reported_without_the_password() -> None:
    with pytest.raises(DatabaseError, match="cannot be prepared") as refused:
        prepare(connect("postgres://user:SECRET@127.0.0.1:1/name"))

    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET/SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET@SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET@SECRET/SECRET@127.0.0.1:1/name",
        "postgres://user:1@SECRET?user=SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET#SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET?SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET?a/SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET%SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET:SECRET@127.0.0.1:1/name",
        "postgres://user:SECRET,SECRET@127.0.0.1,127.0.0.1:1,2/name",
        "postgres://user:[SECRET@127.0.0.1:1/name",
        "postgres://user:\udcffSECRET@127.0.0.1:1/name",
        "postgres://user:x@127.0.0.1:SECRET/name",
        "postgres://user:SECRET",
        "postgres://user:SECRET/name",
        "postgres://127.0.0.1:1/name?sslmode=SECRET",
        "postgres://127.0.0.1:1/name?connect_timeout=SECRET",
        "postgres://127.0.0.1:1/name?SECRET",
        "postgres://user%3ASECRET%40127.0.0.1:1/name",
        "postgres://user:x@SECRET..SECRET/name",
        "postgres:///name?host=/SECRET",
        "postgres:/user:SECRET@127.0.0.1:1/name",
        "mysql://user:SECRET@127.0.0.1:1/name",
        "user:SECRET@127.0.0.1:1/name",
        "host=127.0.0.1 port=1 password=SECRET",
        "sqlite://user:SECRET@127.0.0.1:1/name",
        "sqlite:///user:SECRET@127.0.0.1:1/name",
    ],
)
def test_no_part_of_a_url_is_in_an_error_or_in_the_lines_of_debug(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure("debug")
    found: list[str] = []
    try:
        for use in (prepare, require_log, lambda database: Session(database, 1.0).ping()):
            with pytest.raises((DatabaseError, OperationalError, Unavailable)) as refused:
                use(connect(url, patience=1.0))
            found += traceback.format_exception(refused.value)
            found += [str(refused.value.__cause__)]
    finally:
        root.handlers[:], root.level = before
        logging.captureWarnings(False)

    told = [line for line in found if "raise" not in line and "connect(" not in line]
    assert "SECRET" not in "".join(told) + written.getvalue()
    assert "udcff" not in "".join(told)


def test_the_reason_why_a_server_admits_no_connection_is_told(postgresql_url: str) -> None:
    for changed, reason in (
        (postgresql_url.replace("/test_", "/missing_"), "no such user or database"),
        ("postgres://u:p@127.0.0.1:1/d", "no server listens"),
        ("postgres://u:p@127.0.0.1:x/d", "the port or an option"),
        (f"{postgresql_url}{'&' if '?' in postgresql_url else '?'}sslmode=nonsense", "the port or an option"),
    ):
        with pytest.raises(DatabaseError, match=reason):
            prepare(connect(changed))


def test_quoted_passwords_and_options_of_the_url_are_kept() -> None:
    database = connect("postgres://us%40er:p%2Fa%20s@example.org:6000/name?sslmode=verify-full", require_tls=True)

    given = database.connect_params
    assert (database.database, given["user"], given["password"]) == ("name", "us@er", "p/a s")
    assert (given["host"], given["port"], given["sslmode"]) == ("example.org", "6000", "verify-full")


def test_tls_is_required_unless_the_url_sets_sslmode() -> None:
    assert connect("postgres://h/d", require_tls=True).connect_params["sslmode"] == "require"
    assert "sslmode" not in connect("postgres://h/d").connect_params
    assert database_of(Settings(database_url="postgres://h/d", dyno="web.1")).connect_params["sslmode"] == "require"
    assert "sslmode" not in database_of(Settings(database_url="postgres://h/d")).connect_params


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "predictions.db", "sqlite:///", "sqlite:///:memory:", "postgres://h%zz/d"]
)
def test_an_unsupported_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        connect(url)

    assert "DATABASE_URL" in str(refused.value)


def test_a_log_of_the_original_service_is_migrated_with_its_rows(database_url: str) -> None:
    _make_original(database_url)
    database = connect(database_url)

    prepare(database)

    with database.connection_context():
        rows = list(Prediction.select().order_by(Prediction.id).execute(database))
        original = database.execute_sql("SELECT count(*) FROM prediction_original").fetchone()[0]
    session = Session(database)
    _, _, found = PredictionLog(session, "v", 0.5).commit([], [], [[]])
    session.close()
    assert [(row.observation_id, row.observation, row.proba) for row in rows] == [
        ("7", '{"Age":22.0}', 0.25),
        ("8", '{"Age":null}', 0.75),
    ]
    assert [(row.predicted_class, row.true_class) for row in rows] == [("false", None), ("true", "true")]
    assert original == 2
    assert found == [[]]


def _make_original(url: str) -> None:
    statements = [
        "CREATE TABLE prediction (id INTEGER NOT NULL PRIMARY KEY, observation_id INTEGER NOT NULL,"
        " observation TEXT NOT NULL, proba REAL NOT NULL, true_class INTEGER)",
        "CREATE UNIQUE INDEX prediction_observation_id ON prediction (observation_id)",
        """INSERT INTO prediction VALUES (1, 7, '{"Age": 22.0}', 0.25, NULL), (2, 8, '{"Age": null}', 0.75, 1)""",
    ]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return
    with psycopg.connect(url) as postgresql:
        for statement in statements:
            postgresql.execute(statement.encode())


def test_the_connection_limit_is_the_lowest_that_applies(postgresql_url: str) -> None:
    database = connect(postgresql_url)
    before = connection_limit(database)
    with database.connection_context():
        database.execute_sql(f"ALTER DATABASE {database.database} CONNECTION LIMIT 7")

    assert before is not None
    assert before > 7
    assert connection_limit(database) == 7
    assert database.is_closed()


def test_sqlite_and_an_unreachable_server_tell_no_connection_limit(tmp_path: Path) -> None:
    assert connection_limit(connect(f"sqlite:///{tmp_path}/predictions.db")) is None
    assert connection_limit(connect("postgres://user@127.0.0.1:1/name")) is None
