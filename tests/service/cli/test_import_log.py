"""The command `import` takes every good row of an original table over once, names every reject, and never changes the
source."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from peewee import Database

from service.__main__ import main
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import MakeClient, empty_postgresql
from tests.support.filled import insert
from tests.support.manifests import rewrite
from tests.support.original_table import BAD_ROWS, OriginalValues, body, good_rows, make_original
from tests.support.passengers import ARTIFACTS, PROJECT, prediction
from tests.support.served import environment

Make = Callable[..., str]


def run(database_url: str, source: str, *options: str, artifacts: Path = ARTIFACTS) -> Result:
    environment = {"DATABASE_URL": database_url, "ARTIFACTS": str(artifacts)}
    return CliRunner(env=environment).invoke(main, ["import", source, *options])


def imported(database_url: str, source: str, *options: str, artifacts: Path = ARTIFACTS) -> str:
    ran = run(database_url, source, *options, artifacts=artifacts)
    assert ran.exit_code == 0, ran.output
    return ran.output


def refused(database_url: str, source: str, *options: str, artifacts: Path = ARTIFACTS) -> str:
    """The message of a command that fails with one sentence and without a traceback."""
    ran = run(database_url, source, *options, artifacts=artifacts)
    assert ran.exit_code == 1, ran.output
    assert isinstance(ran.exception, SystemExit)
    assert ran.stdout == ""
    assert ran.stderr.startswith("Error: ")
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def rows_of(database_url: str) -> list[dict[str, Any]]:
    database = connect(database_url)
    with database.connection_context():
        return list(Prediction.select().order_by(Prediction.id).dicts().execute(database))


def without_times(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("created_at", "labelled_at")} for row in rows]


def rejects_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(params=["sqlite", "postgresql"])
def make_source(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes an original table in a database of each kind in turn, and returns the SOURCE of the command."""

    def make(rows: Iterable[OriginalValues], name: str = "prediction", more: str = "") -> str:
        if request.param == "sqlite":
            make_original(f"sqlite:///{tmp_path}/original.db", rows, name, more)
            return f"{tmp_path}/original.db"
        url = empty_postgresql(request.getfixturevalue("postgresql_server"))
        make_original(url, rows, name, more)
        return url

    return make


def test_every_row_is_in_the_log_and_every_reject_in_the_file(
    make_source: Make, database_url: str, tmp_path: Path
) -> None:
    source = make_source([*good_rows(30), *BAD_ROWS.values(), (2000, 20000, body(20000), 0.5, None)])

    output = imported(database_url, source, "--rejects", str(tmp_path / "bad"))

    assert [row["observation_id"] for row in rows_of(database_url)] == [str(10 * i) for i in range(1, 31)] + ["20000"]
    assert "31 imported" in output
    assert f"{len(BAD_ROWS)} rejected rows are in {tmp_path}/bad" in output
    rejects = rejects_of(tmp_path / "bad")
    assert [reject.pop("id") for reject in rejects] == [values[0] for values in BAD_ROWS.values()]
    for reject, (reason, values) in zip(rejects, BAD_ROWS.items(), strict=True):
        assert reason in reject.pop("reason")
        assert reason in output
        assert list(reject.values()) == list(values[1:])


def test_the_rows_are_those_that_the_first_start_takes_over(
    make_source: Make, database_url: str, tmp_path: Path
) -> None:
    rows = [*good_rows(30), *BAD_ROWS.values(), (2000, 10, body(10, Age=1), 0.1, 1)]
    make_original(f"sqlite:///{tmp_path}/in_place.db", rows)
    prepare(connect(f"sqlite:///{tmp_path}/in_place.db"))

    imported(database_url, make_source(rows), "--rejects", str(tmp_path / "bad"))

    taken_over = rows_of(f"sqlite:///{tmp_path}/in_place.db")
    assert len(taken_over) == 30
    assert without_times(rows_of(database_url)) == without_times(taken_over)


def test_to_repeat_it_changes_nothing_and_writes_the_same_rejects(
    make_source: Make, database_url: str, tmp_path: Path
) -> None:
    source = make_source([*good_rows(30), *BAD_ROWS.values()])
    bad = tmp_path / "bad"
    imported(database_url, source, "--rejects", str(bad))
    before, rejects = rows_of(database_url), bad.read_bytes()

    output = imported(database_url, source, "--rejects", str(bad))

    assert "30 already there" in output
    assert rows_of(database_url) == before
    assert bad.read_bytes() == rejects


def test_new_labels_are_added_and_a_changed_label_is_a_reject(database_url: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    make_original(f"sqlite:///{first}", [(i, i, body(i), 0.5, label) for i, label in enumerate((None, 0, None))])
    make_original(f"sqlite:///{second}", [(i, i, body(i), 0.5, 1) for i in range(3)])
    imported(database_url, str(first))

    output = imported(database_url, str(second))

    assert "2 labelled" in output
    assert [row["true_class"] for row in rows_of(database_url)] == ["true", "false", "true"]
    assert [reject["id"] for reject in rejects_of(tmp_path / "second.db.rejects.ndjson")] == [1]
    database = connect(database_url)
    with database.connection_context():
        assert LabelCorrection.select().count(database) == 0


def test_imported_rows_count_in_performance_and_are_replayed(
    make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(30))
    imported(database_url, f"{tmp_path}/original.db")
    client = make_client(database_url=database_url)

    performance = client.get("/performance?by=Age").json
    answer = client.post("/predict", json=prediction(10, Age=1))
    changed = client.post("/predict", json=prediction(10, Age=2))

    assert (performance["count"], performance["labelled"], performance["threshold"]) == (30, 20, 0.5)
    assert len(performance["groups"]) > 1
    assert (answer.status_code, answer.json["proba"]) == (200, 0.1)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert changed.status_code == 409
    assert client.post("/update", json={"id": 30, "true_class": True}).json["true_class"] is True


def test_the_classes_are_those_of_the_model(database_url: str, tmp_path: Path) -> None:
    folder = shutil.copytree(ARTIFACTS, tmp_path / "artifacts")
    rewrite(folder, lambda manifest: manifest.update(classes=["no", "yes"], positive_class="yes"))
    make_original(f"sqlite:///{tmp_path}/original.db", [(1, 1, body(1), 0.4, 0), (2, 2, body(2), 0.3, 1)])

    imported(database_url, f"{tmp_path}/original.db", "--threshold", "0.4", "--model-version", "v 1", artifacts=folder)

    columns = ("predicted_class", "true_class", "threshold", "model_version")
    assert [tuple(row[name] for name in columns) for row in rows_of(database_url)] == [
        ('"yes"', '"no"', 0.4, "v 1"),
        ('"no"', '"yes"', 0.4, "v 1"),
    ]


def test_without_a_model_the_classes_are_false_and_true(database_url: str, tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", [(1, 1, body(1), 0.5, 0)])

    imported(database_url, f"{tmp_path}/original.db", artifacts=tmp_path)

    (row,) = rows_of(database_url)
    assert (row["predicted_class"], row["true_class"], row["model_version"]) == ("true", "false", None)


def test_the_time_of_a_row_is_kept_if_the_source_has_it(make_source: Make, database_url: str, tmp_path: Path) -> None:
    rows = [(1, 1, body(1), 0.5, None, "2020-01-02 12:00:00"), (2, 2, body(2), 0.5, None, None)]

    imported(database_url, make_source(rows, more=", created_at TIMESTAMP"), "--rejects", str(tmp_path / "bad"))

    first, second = rows_of(database_url)
    assert first["created_at"].isoformat() == "2020-01-02T12:00:00+00:00"
    assert second["created_at"].year > 2020


def test_a_time_that_python_does_not_have_is_a_reject_and_hides_no_other_row(
    database_url: str, postgresql_server: str, tmp_path: Path
) -> None:
    source = empty_postgresql(postgresql_server)
    times = ["2020-01-02 12:00:00+02", "infinity", "0044-01-01 00:00:00+00 BC", None]
    rows = [(i, i, body(i), 0.5, None, time) for i, time in enumerate(times)]
    make_original(source, rows, more=", created_at TIMESTAMPTZ")

    output = imported(database_url, source, "--rejects", str(tmp_path / "bad"))

    assert "2 imported" in output
    assert "2 rejected: created_at is not a time" in output
    assert rows_of(database_url)[0]["created_at"].isoformat() == "2020-01-02T10:00:00+00:00"


@pytest.mark.long  # starts two processes
def test_two_imports_at_once_take_each_row_once(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", [*good_rows(1000), *BAD_ROWS.values()])
    given = environment(DATABASE_URL=f"sqlite:///{tmp_path}/log.db", ARTIFACTS=str(ARTIFACTS))
    command = (sys.executable, "-m", "service", "import", f"{tmp_path}/original.db")
    running = [
        subprocess.Popen(command, cwd=PROJECT, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=100)[0] for process in running]

    assert [process.returncode for process in running] == [0, 0], outputs
    assert len(rows_of(f"sqlite:///{tmp_path}/log.db")) == 1000
    assert len((tmp_path / "original.db.rejects.ndjson").read_text().splitlines()) == len(BAD_ROWS)


@pytest.mark.parametrize("name", ["prediction_original", "another name"])
def test_the_table_is_found_by_its_columns(make_source: Make, database_url: str, tmp_path: Path, name: str) -> None:
    source = make_source(good_rows(3), f'"{name}"')

    assert f"3 rows of the table {name}" in imported(database_url, source, "--rejects", str(tmp_path / "bad"))


def test_of_several_tables_the_one_with_the_original_name_is_taken(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(2), "copy")
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(3))

    output = imported(f"sqlite:///{tmp_path}/log.db", f"{tmp_path}/original.db")

    assert "3 rows of the table prediction were read" in output


def test_what_a_first_start_left_is_imported_into_another_log(database_url: str, tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/in_place.db", good_rows(3))
    prepare(connect(f"sqlite:///{tmp_path}/in_place.db"))

    assert "3 rows of the table prediction_original" in imported(database_url, f"{tmp_path}/in_place.db")


def test_the_source_is_not_changed(database_url: str, tmp_path: Path) -> None:
    source = tmp_path / "original.db"
    make_original(f"sqlite:///{source}", [*good_rows(30), *BAD_ROWS.values()])
    source.chmod(0o400)
    before = hashlib.sha256(source.read_bytes()).digest(), source.stat().st_mtime_ns

    imported(database_url, str(source))

    assert (hashlib.sha256(source.read_bytes()).digest(), source.stat().st_mtime_ns) == before
    assert {path.name for path in tmp_path.glob("original*")} == {"original.db", "original.db.rejects.ndjson"}


def test_a_row_of_the_service_with_another_value_is_a_conflict(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    insert(database, "1", proba=0.5)
    insert(database, "2", proba=0.5, observation='{"Age":1}')
    make_original(f"sqlite:///{tmp_path}/original.db", [(i, i, body(i), 0.5, None) for i in (1, 2)])

    output = imported(database_url, f"{tmp_path}/original.db")

    assert "1 already there" in output
    assert "1 rejected: the log has this observation_id with another observation" in output


def test_text_that_is_not_utf_8_is_a_reject(database_url: str, tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(2))
    with closing(sqlite3.connect(tmp_path / "original.db")) as connection, connection:
        connection.execute("UPDATE prediction SET observation = CAST(x'7bff7d' AS TEXT) WHERE id = 1")
        connection.execute("UPDATE prediction SET observation = CAST(observation AS BLOB) WHERE id = 2")

    assert "1 imported" in imported(database_url, f"{tmp_path}/original.db")
    assert [reject["id"] for reject in rejects_of(tmp_path / "original.db.rejects.ndjson")] == [1]


def test_an_empty_table_gives_an_empty_file(database_url: str, tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", [])

    assert "No row was rejected" in imported(database_url, f"sqlite:///{tmp_path}/original.db")
    assert (tmp_path / "original.db.rejects.ndjson").read_bytes() == b""


def _broken(path: Path) -> None:
    make_original(f"sqlite:///{path}", good_rows(2000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE prediction (id INTEGER PRIMARY KEY, observation TEXT)")


def _keyless(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE prediction (id, observation_id, observation, proba, true_class)")


def _two(path: Path) -> None:
    make_original(f"sqlite:///{path}", good_rows(1), "a")
    make_original(f"sqlite:///{path}", good_rows(1), "b")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "There is no file"),
        (Path.mkdir, "is a folder; name the file"),
        (Path.touch, "no table with the columns id, observation_id, observation, proba, true_class"),
        (lambda path: path.write_text("no database " * 500), "damaged or not a SQLite database"),
        (_broken, "damaged or not a SQLite database"),
        (_foreign, "no table with the columns"),
        (_keyless, "not the primary key"),
        (_two, "several tables of the original app: a, b"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_sentence_and_changes_nothing(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    source = tmp_path / "original.db"
    make(source)
    before = sorted(tmp_path.iterdir())

    assert words in refused(f"sqlite:///{tmp_path}/log.db", str(source))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "postgres://u:secret@127.0.0.1:1/d", "postgres://u:se@cret@h/d"]
)
def test_a_url_without_a_database_is_one_sentence_without_the_password(tmp_path: Path, url: str) -> None:
    message = refused(f"sqlite:///{tmp_path}/log.db", url)

    assert "SOURCE" in message
    assert "cret" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_reached_is_one_sentence(postgresql_url: str) -> None:
    make_original(postgresql_url, good_rows(3))

    assert "DATABASE_URL" in refused("postgres://u:secret@127.0.0.1:1/d", postgresql_url)


def test_the_database_of_the_log_is_not_a_source(database_url: str, tmp_path: Path) -> None:
    make_original(database_url, good_rows(3))
    (tmp_path / "link.db").symlink_to(tmp_path / "predictions.db")
    files = [f"{tmp_path}/predictions.db", f"{tmp_path}/link.db"]
    names = [database_url, *(files if database_url.startswith("sqlite") else [f"{database_url}&application_name=x"])]

    for name in names:
        assert "is the database of DATABASE_URL" in refused(database_url, name)

    with connect(database_url) as database:
        assert database.get_tables() == ["prediction"]


def test_another_database_of_the_same_server_is_a_source(postgresql_server: str, tmp_path: Path) -> None:
    source, target = empty_postgresql(postgresql_server), empty_postgresql(postgresql_server)
    make_original(source, good_rows(3))

    assert "3 imported" in imported(target, source, "--rejects", str(tmp_path / "bad"))
    with psycopg.connect(source) as connection:
        assert connection.execute("SELECT count(*) FROM prediction").fetchone() == (3,)


def test_a_file_that_holds_something_else_is_not_replaced(tmp_path: Path) -> None:
    source = tmp_path / "original.db"
    make_original(f"sqlite:///{source}", good_rows(3))
    other = tmp_path / "notes.txt"
    other.write_text("mine")

    for name in (other, source, Path("/dev/null")):
        assert "not a rejects file" in refused(f"sqlite:///{tmp_path}/log.db", str(source), "--rejects", str(name))

    assert other.read_text() == "mine"
    assert not (tmp_path / "log.db").exists()


def test_a_folder_without_room_for_rejects_is_named_before_the_import(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(3))

    message = refused(f"sqlite:///{tmp_path}/log.db", f"{tmp_path}/original.db", "--rejects", f"{tmp_path}/none/bad")

    assert f"There is no folder {tmp_path}/none" in message
    assert not (tmp_path / "log.db").exists()


def test_a_model_of_three_classes_is_refused(artifacts: dict[str, Path], tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(3))
    log = f"sqlite:///{tmp_path}/log.db"

    assert "not binary" in refused(log, f"{tmp_path}/original.db", artifacts=artifacts["iris"])
    assert not (tmp_path / "log.db").exists()


@pytest.mark.parametrize(
    "options",
    [("--threshold", "nan"), ("--threshold", "1.5"), ("--model-version", ""), ("--model-version", "a" * 65)],
)
def test_an_option_without_meaning_is_refused(tmp_path: Path, options: tuple[str, str]) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(3))

    assert run(f"sqlite:///{tmp_path}/log.db", f"{tmp_path}/original.db", *options).exit_code == 2
