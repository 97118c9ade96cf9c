"""Each prediction and each label is in one file of its feed, with the values of the log."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import psycopg
import pyarrow as pa
import pytest

from serialize.files.place_error import PlaceError
from service.bulk.feeds import export as export_module
from service.bulk.feeds.destination import Destination
from service.bulk.feeds.export import FeedExport
from service.bulk.feeds.tables import table_of
from service.storage.connection import connect
from service.storage.feeds import rows as rows_module
from service.storage.feeds.error import FeedError
from service.storage.feeds.rows import blocks
from service.storage.feeds.settled import Settled
from service.storage.feeds.tables import FeedName
from service.storage.migrate import prepare
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.service.bulk.feeds.exported import files, require_all, rows, table
from tests.support.logged import START, erase, logged, relabel, write

INSERT = "INSERT INTO prediction (observation_id, observation, created_at) VALUES (%s, '{}', now()) RETURNING id"
LABEL = "UPDATE prediction SET true_class = %s, labelled_at = now() WHERE id = %s"


def export(session: Session, folder: Path, most_rows: int = 1_000) -> tuple[int, int]:
    """The number of predictions and of labels that an export wrote."""
    done = FeedExport(session, Destination.of(str(folder)), most_rows).run(lambda share, rows: None)
    return done.rows["predictions"], done.rows["labels"]


def fill(session: Session, *numbers: int) -> None:
    session.run(lambda: write(session.database, *(logged(number) for number in numbers)))


def label(session: Session, number: int, truth: str = "true") -> None:
    session.run(lambda: relabel(session.database, number, truth, datetime.now(UTC)))


def test_the_schema_is_the_same_whatever_models_are_in_the_log(session: Session, tmp_path: Path) -> None:
    binary = logged(7)
    multiclass = logged(8, observation_id='"7"', predicted_class='"a"', probas='{"a":0.75,"b":0.25}', proba=0.75)
    regression = logged(9, predicted_class=None, proba=None, threshold=None, predicted_value=1e-300, model_version=None)
    for one in (binary, multiclass, regression):
        session.run(lambda one=one: write(session.database, one))  # type: ignore[misc]
        assert export(session, tmp_path) == (1, 0)

    found = table(tmp_path, "predictions")
    text, number = pa.string(), pa.float64()
    assert found.schema == pa.schema(
        {"id": pa.int64(), "observation_id": text, "observation": text, "predicted_class": text, "probas": text}
        | {"proba": number, "predicted_value": number, "threshold": number, "model_version": text}
        | {"created_at": pa.timestamp("us", "UTC")}
    )
    names = [name for name in found.column_names if name != "id"]
    assert found.select(names).to_pylist() == [
        {name: one[name] for name in names} for one in (binary, multiclass, regression)
    ]


def test_labels_that_come_late_and_their_corrections_are_exported(session: Session, tmp_path: Path) -> None:
    fill(session, 1, 2)
    assert export(session, tmp_path) == (2, 0)
    label(session, 2)
    assert export(session, tmp_path) == (0, 1)
    label(session, 1)
    label(session, 2, "false")
    assert export(session, tmp_path) == (0, 2)
    assert export(session, tmp_path) == (0, 0)

    found = rows(tmp_path, "labels")
    names = ("id", "prediction_id", "observation_id", "true_class", "true_value", "is_correction")
    assert [tuple(row[name] for name in names) for row in found] == [
        (1, 2, "2", "true", None, False),
        (2, 1, "1", "true", None, False),
        (3, 2, "2", "false", None, True),
    ]
    assert all(abs((datetime.now(UTC) - row["labelled_at"]).total_seconds()) < 600 for row in found)
    require_all(session.database, tmp_path)


def test_a_backlog_is_cut_into_files_below_the_day_on_which_they_were_begun(session: Session, tmp_path: Path) -> None:
    fill(session, *range(10))

    export(session, tmp_path, most_rows=4)

    days = {f"day={datetime.now(UTC):%Y-%m-%d}"}
    found = files(tmp_path, "predictions")
    assert [path.name for path in found] == ["1-4.parquet", "5-8.parquet", "9-10.parquet"]
    assert {path.parent.name for path in found} == days
    require_all(session.database, tmp_path)


def test_long_observations_are_read_in_smaller_blocks(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_FIRST_ROWS", 2)
    monkeypatch.setattr(rows_module, "_BLOCK_CHARACTERS", 30_000)
    sizes: list[int] = []

    def counted(feed: FeedName, rows: Sequence[tuple[object, ...]]) -> pa.Table:
        sizes.append(len(rows))
        return table_of(feed, rows)

    monkeypatch.setattr(export_module, "table_of", counted)
    long = '{"text":"' + "x" * 10_000 + '"}'
    session.run(lambda: write(session.database, *(logged(i, observation=long) for i in range(6))))

    assert export(session, tmp_path) == (6, 0)
    assert sizes == [2, 2, 2]


def test_times_in_another_form_are_read(session: Session, tmp_path: Path) -> None:
    other = datetime.fromisoformat("2026-01-01T02:00:00+02:00")
    fill(session, 1)
    session.run(lambda: write(session.database, logged(2, created_at=other)))
    if session.database.param == "?":
        other_form = "UPDATE prediction SET created_at = '20260101T020000+0200' WHERE id = 2"
        session.run(lambda: session.database.execute_sql(other_form))

    export(session, tmp_path)

    assert [row["created_at"] for row in rows(tmp_path, "predictions")][1] == START


def test_an_interrupted_range_is_written_again_under_its_name(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(session, 1, 2, 3)
    with monkeypatch.context() as broken:
        broken.setattr(export_module, "table_of", lambda feed, rows: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(session, tmp_path)
    assert files(tmp_path, "predictions") == []
    fill(session, 4)
    session.run(lambda: erase(session.database, 2))

    assert export(session, tmp_path) == (3, 0)

    assert [path.name for path in files(tmp_path, "predictions")] == ["1-3.parquet", "4-4.parquet"]
    require_all(session.database, tmp_path)


def test_an_export_that_another_one_overtook_replaces_no_file(
    session: Session, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(session, 1, 2)
    other = Session(connect(database_url))

    def overtaken(*arguments: object) -> Iterator[object]:
        monkeypatch.setattr(export_module, "blocks", blocks)
        assert export(other, tmp_path) == (2, 0)
        other.run(lambda: erase(other.database, 1))  # as --delete-exported does with what is written
        yield from blocks(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(export_module, "blocks", overtaken)
    with pytest.raises(FeedError, match="Another export"):
        export(session, tmp_path)
    other.close()

    assert [row["id"] for row in rows(tmp_path, "predictions")] == [1, 2]
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")] == []


def test_a_prediction_that_is_committed_late_is_not_lost(postgresql_url: str, tmp_path: Path) -> None:
    session = session_of(postgresql_url)
    with psycopg.connect(postgresql_url) as late, ThreadPoolExecutor() as pool:
        late.execute(INSERT, ("late",))
        fill(session, 2)
        exporting = pool.submit(export, session, tmp_path)
        time.sleep(0.1)  # it would have ended by then, if it did not wait
        late.commit()
        assert exporting.result(30) == (2, 0)
    require_all(session.database, tmp_path)
    session.close()


def test_exports_beside_concurrent_writers_miss_nothing(postgresql_url: str, tmp_path: Path) -> None:
    session, stop = session_of(postgresql_url), Event()

    def write_until_stop(seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(postgresql_url) as connection:
            ids: list[int] = []
            for number in range(10**6):
                for i in range(chance.randint(1, 3)):
                    row = connection.execute(INSERT, (f'"{seed}-{number}-{i}"',)).fetchone()
                    ids += row or ()
                if chance.random() < 0.5:
                    connection.execute(LABEL, (str(number), chance.choice(ids)))
                time.sleep(chance.random() * 0.01)
                connection.rollback() if chance.random() < 0.1 else connection.commit()
                if stop.is_set():
                    return

    with ThreadPoolExecutor() as pool:
        writing = [pool.submit(write_until_stop, seed) for seed in range(4)]
        exports = [export(session, tmp_path, most_rows=50) for _ in range(25)]
        stop.set()
        for one in writing:
            one.result(30)
    export(session, tmp_path)

    assert sum(predictions > 0 for predictions, _ in exports) > 5
    require_all(session.database, tmp_path)
    session.close()


def session_of(url: str) -> Session:
    database = connect(url)
    prepare(database)
    return Session(database)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("https://host/folder", r"https://host/folder cannot be the place of the feeds; use s3://, .* or a folder"),
        ("s3://user:secret@bucket/folder", "put credentials into the environment"),
        ("ftp://host/folder", "not a URL of a kind that can be read"),
    ],
)
def test_a_place_that_cannot_take_the_feeds_is_one_sentence(place: str, reason: str) -> None:
    with pytest.raises(PlaceError, match=reason) as error:
        Destination.of(place)
    assert "secret" not in str(error.value)


def test_a_folder_is_the_same_destination_as_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    urls = {Destination.of(place).url for place in ("a b", f"{tmp_path}/a b/", f"file://{tmp_path}/a%20b")}

    assert urls == {f"{tmp_path}/a b"}


def test_nothing_is_written_for_an_empty_log(session: Session, tmp_path: Path) -> None:
    assert export(session, tmp_path) == (0, 0)
    assert FeedExport(session, Destination.of(str(tmp_path))).ranges.written() == Settled(0, 0)
    assert list(tmp_path.glob("predictions")) == []
    assert Prediction.select().count(session.database) == 0
