"""`export --to URL --since-last` writes the feeds and deletes what both of them hold. A kill at any moment loses
nothing and repeats nothing."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import psycopg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from serialize.files import object_store
from serialize.files.object_store import list_files, open_to_read
from service.__main__ import main
from service.cli import bulk_options
from service.storage.connection import connect
from service.storage.deletion import Erasure
from service.storage.feeds.settled import Settled
from service.storage.migrate import prepare
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.conftest import Client
from tests.service.bulk.feeds.exported import files, require_all, rows
from tests.support.faulty_store import Fault, faulty_store
from tests.support.killed import KILLED, run, run_call
from tests.support.logged import logged, relabel, write
from tests.support.moto import S3
from tests.support.passengers import prediction
from tests.support.waiting import until

DELETE = ("--delete-exported", "--older-than", "90d")
OLD = datetime.now(UTC) - timedelta(days=100)


def export(database_url: str, place: object, *options: str) -> Result:
    arguments = ["export", "--to", str(place), "--since-last", *options]
    return CliRunner(env={"DATABASE_URL": database_url}).invoke(main, arguments)


def summary(database_url: str, place: object, *options: str) -> str:
    """The one line of an export that succeeds."""
    ran = export(database_url, place, *options)
    assert ran.exit_code == 0, ran.output
    assert ran.stderr == ""
    assert ran.stdout.count("\n") == 1
    return ran.stdout.strip()


def refused(ran: Result, code: int = 1) -> str:
    """The sentence of an export that fails."""
    assert (ran.exit_code, ran.stdout) == (code, "")
    return ran.stderr.splitlines()[-1].removeprefix("Error: ")


def add(session: Session, *numbers: int, created_at: datetime | None = None) -> None:
    made = [logged(number, created_at=created_at or datetime.now(UTC)) for number in numbers]
    session.run(lambda: write(session.database, *made))


def label(session: Session, number: int, truth: str = "true") -> None:
    session.run(lambda: relabel(session.database, number, truth, datetime.now(UTC)))


def kept(session: Session) -> list[str]:
    query = Prediction.select(Prediction.observation_id).order_by(Prediction.id)
    return [id_ for (id_,) in query.tuples().execute(session.database)]


def test_what_the_service_answered_is_exported_and_summed_up_in_one_line(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    client.post("/predict", json=[prediction(i) for i in range(3)])
    client.post("/update", json={"id": 1, "true_class": 1})
    place = tmp_path / "new" / "feeds"

    assert summary(database_url, place) == f"predictions 3 rows in 1 file, labels 1 row in 1 file, to {place}"
    assert summary(database_url, place) == f"predictions 0 rows in 0 files, labels 0 rows in 0 files, to {place}"
    with connect(database_url) as database:
        require_all(database, place)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--to s3://b/x", "The feeds need both --to URL and --since-last."),
        ("--since-last", "The feeds need both --to URL and --since-last."),
        ("--delete-exported --older-than 1d", "The feeds need both --to URL and --since-last."),
        ("--to x --since-last --delete-exported", "--delete-exported and --older-than go together."),
        ("--to x --since-last --older-than 1d", "--delete-exported and --older-than go together."),
        ("--to x --since-last --since 1970-01-01", "--to writes the feeds, which take no option of a file"),
        ("--to x --since-last -o y --format csv", "--to writes the feeds, which take no option of a file"),
        ("--to x --since-last --force", "--to writes the feeds, which take no option of a file"),
        ("", "Give --format and -o for a file, or --to and --since-last for the feeds."),
        ("--format csv", "Give --format and -o for a file, or --to and --since-last for the feeds."),
        ("--to x --since-last --delete-exported --older-than 9", "'9' is not a number of hours, days or weeks"),
    ],
)
def test_wrong_options_are_one_sentence_and_exit_2(arguments: str, sentence: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    ran = CliRunner(env={"DATABASE_URL": url}).invoke(main, ["export", *arguments.split()])

    assert sentence in refused(ran, code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_log_of_an_older_version_is_one_sentence(tmp_path: Path, session: Session, database_url: str) -> None:
    session.run(lambda: session.database.execute_sql("DROP TABLE feed_range"))

    assert "is of an older version. `python -m service migrate`" in refused(export(database_url, tmp_path / "x"))
    assert "has no log" in refused(export(f"sqlite:///{tmp_path}/none.db", tmp_path / "x"))


def test_without_pyarrow_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_options, "find_spec", lambda name: None)

    assert "pip install 'prediction-service[bulk]'" in refused(export("sqlite:///none.db", tmp_path))


def test_a_folder_that_cannot_be_made_is_one_sentence(session: Session, database_url: str, tmp_path: Path) -> None:
    add(session, 1)
    (tmp_path / "file").touch()

    assert "cannot be made: Not a directory" in refused(export(database_url, tmp_path / "file"))


def test_exported_rows_are_deleted_when_they_are_old_and_all_their_labels_are_exported(
    session: Session, database_url: str, tmp_path: Path
) -> None:
    add(session, 1, 2, created_at=OLD)
    add(session, 3)
    label(session, 1)

    told = summary(database_url, tmp_path, *DELETE)

    assert told.endswith("; 2 exported predictions were deleted, and their ids are free again")
    assert kept(session) == ["3"]
    assert [row["observation_id"] for row in rows(tmp_path, "predictions")] == ["1", "2", "3"]
    add(session, 1)
    assert "; 0 exported predictions were deleted" in summary(database_url, tmp_path, *DELETE)
    assert [row["id"] for row in rows(tmp_path, "predictions")] == [1, 2, 3, 4]


def test_what_the_feeds_do_not_hold_is_never_deleted(session: Session) -> None:
    add(session, *range(1, 5), created_at=OLD)
    for number in (1, 2, 1):
        label(session, number, str(number))

    erasure = Erasure(session, log_reader(session.database))
    exported = Settled(predictions=3, labels=1)

    assert sum(erasure.erase_before(datetime.now(UTC), exported)) == 2
    assert kept(session) == ["2", "4"]


def test_a_label_that_comes_during_the_deletion_keeps_its_row(postgresql_url: str) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    add(session, 1, 2, created_at=OLD)
    erasure = Erasure(session, log_reader(session.database))
    with psycopg.connect(postgresql_url) as labelling, ThreadPoolExecutor() as pool:
        labelling.execute("UPDATE prediction SET true_class = 'true', labelled_at = now() WHERE id = 1")
        deleting = pool.submit(lambda: sum(erasure.erase_before(datetime.now(UTC), Settled(2, 0))))
        with psycopg.connect(postgresql_url, autocommit=True) as watching:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            until(lambda: watching.execute(waits).fetchone() == (1,))
        labelling.commit()

        assert deleting.result(30) == 1
    assert kept(session) == ["1"]
    session.close()


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_feeds_go_to_a_bucket(session: Session, database_url: str, s3: S3) -> None:
    add(session, 1, 2)
    label(session, 2)
    place = f"s3://{s3.bucket}/log"

    assert summary(database_url, place) == f"predictions 2 rows in 1 file, labels 1 row in 1 file, to {place}"

    day = f"day={datetime.now(UTC):%Y-%m-%d}"
    names = [file.url for file in list_files(place)]
    assert names == [f"{place}/labels/{day}/1-1.parquet", f"{place}/predictions/{day}/1-2.parquet"]
    with open_to_read(names[1]) as file:
        assert pq.read_table(file)["observation_id"].to_pylist() == ["1", "2"]


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", ["500", "hang"])
def test_a_store_that_fails_is_one_sentence_and_the_next_export_goes_on(
    fault: Fault, session: Session, database_url: str, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(session, 1, 2)
    place = f"s3://{s3.bucket}/log"
    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 1.0)
    with faulty_store(s3.server, lambda method, path, number: fault) as store, monkeypatch.context() as broken:
        broken.setenv("AWS_ENDPOINT_URL", store.address)
        told = refused(export(database_url, place))
    assert "cannot be written: " in told
    add(session, 3)

    assert summary(database_url, place).startswith("predictions 3 rows in 2 files")
    assert [file.url.rpartition("/")[2] for file in list_files(place)] == ["1-2.parquet", "3-3.parquet"]


@pytest.mark.long
def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(
    session: Session, database_url: str, tmp_path: Path
) -> None:
    """Each export is killed at a later moment than the one before, and meanwhile the log grows."""
    place, variables = tmp_path / "feeds", {"DATABASE_URL": database_url}
    command = ("export", "--to", str(place), "--since-last", *DELETE)
    output, codes = tmp_path / "output", []
    steps = range(1, 11) if database_url.startswith("sqlite") else range(2, 11, 3)
    for step in steps:
        add(session, 10 * step, created_at=OLD)
        add(session, 10 * step + 1)
        label(session, 10 * step + 1)
        session.close()
        if step % 3:
            codes.append(run(command, variables, output, step))
        else:
            codes.append(run_call(killed_in_a_file, (command,), variables, output))
    assert codes == [KILLED] * len(steps)

    summary(database_url, place, *DELETE)

    found = rows(place, "predictions")
    assert [row["observation_id"] for row in found] == [str(10 * step + i) for step in steps for i in (0, 1)]
    assert [row["prediction_id"] for row in rows(place, "labels")] == [
        row["id"] for row in found if row["observation_id"].endswith("1")
    ]
    assert kept(session) == [str(10 * step + 1) for step in steps]
    assert len(files(place, "predictions")) > 1


def killed_in_a_file(command: tuple[str, ...]) -> None:
    """Runs a command, and kills the process when a file is half written."""

    def end(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with patch("service.bulk.feeds.export.table_of", end):
        main(command)
