"""Blocks of the log from any key, and the rows of a snapshot."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from peewee import Database, PostgresqlDatabase

from service.prediction.filter import EVERYTHING, PredictionFilter, Selection
from service.storage.reading.log_reader import Snapshot, log_reader
from tests.support.logged import START, labelled, logged, write

KEYS = [-(2**63), -7, -1, 0, 1, 5, 2**63 - 1]


@pytest.mark.parametrize("than", [None, *KEYS, -8, -2, 3])
def test_a_block_can_begin_after_any_key_even_a_negative_one(database: Database, than: int | None) -> None:
    write(database, *(logged(i, id=key) for i, key in enumerate(KEYS)))
    reader = log_reader(database)

    older = [int(row.id) for row in reader.older(than=than).rows]
    newer = [int(row.id) for row in reader.newer(than=than).rows]

    assert older == [key for key in reversed(KEYS) if than is None or key < than]
    assert newer == [key for key in KEYS if than is None or key > than]


def test_pages_of_negative_keys_are_in_order(database: Database) -> None:
    write(database, *(logged(i, id=i - 5) for i in range(8)))
    reader = log_reader(database)

    found, end = [], None
    for _ in range(5):
        block = reader.older(than=end, size=2)
        found += [int(row.id) for row in block.rows]
        end = block.end
        if end is None:
            break

    assert found == [2, 1, 0, -1, -2, -3, -4, -5]
    assert [int(row.id) for block in reader.blocks(size=3) for row in block.rows] == found[::-1]


def test_a_snapshot_holds_ids_outside_its_gaps() -> None:
    snapshot = Snapshot(20, gaps=((-6, -3), (2, 4), (10, 15)))

    held = [id_ for id_ in range(-8, 21) if snapshot.holds(id_)]

    assert held == [-8, -7, -6, -3, -2, -1, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 18, 19, 20]
    assert Snapshot(20).holds(3)


def test_the_snapshot_of_an_empty_log_holds_no_row(database: Database) -> None:
    assert log_reader(database).snapshot() == Snapshot(0, ())


def test_a_postgresql_snapshot_records_gaps(database: Database) -> None:
    write(database, *(logged(i, id=id_) for i, id_ in enumerate((-3, -2, 4, 5, 9))))

    snapshot = log_reader(database).snapshot()

    assert snapshot.last_id == 9
    if snapshot.gaps:
        assert snapshot.gaps == ((-2, 4), (5, 9))
        write(database, logged(99, id=7), logged(98, id=-9))
        reader = log_reader(database)
        # Rows below the searched range of ids count as existing.
        assert [int(row.id) for row in reader.newer(at=snapshot).rows] == [-9, -3, -2, 4, 5, 9]
        assert [block.ids() for block in reader.columns(size=4, at=snapshot)] == [[-9, -3, -2, 4], [5, 9]]
        assert [json.loads(block.arrays["observation_id"]) for block in reader.columns(size=4, at=snapshot)] == [
            [98, 0, 1, 2],
            [3, 4],
        ]
        assert [len(block.reals["proba"]) for block in reader.columns(size=4, at=snapshot)] == [4, 2]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "wanted",
    [EVERYTHING, PredictionFilter(labelled=True), PredictionFilter(Selection(model_version="none"))],
    ids=["everything", "labelled", "nothing"],
)
def test_the_blocks_by_column_hold_the_rows_of_the_blocks(
    database: Database, size: int, wanted: PredictionFilter
) -> None:
    write(database, *((labelled if i % 2 else logged)(i, proba=i / 7) for i in range(6)))
    reader = log_reader(database)

    for block, columns in zip(reader.blocks(wanted, size), reader.columns(wanted, size), strict=True):
        assert columns.end == block.end
        assert columns.ids() == [int(row.id) for row in block.rows]
        for name, array in columns.arrays.items():
            of_rows = [json.loads(getattr(row, name)) for row in block.rows]
            assert list(map(_comparable(name), json.loads(array))) == list(map(_comparable(name), of_rows))
        for name, numbers in columns.reals.items():
            assert list(numbers) == [json.loads(getattr(row, name)) for row in block.rows]


def test_times_by_column_are_right_in_any_time_zone_of_the_server(database: Database) -> None:
    times = [START, START + timedelta(microseconds=7), START + timedelta(days=180, milliseconds=250)]
    write(database, *(logged(i, created_at=time) for i, time in enumerate(times)))
    if isinstance(database, PostgresqlDatabase):
        database.execute_sql("SET TIME ZONE 'Europe/Paris'")

    (block,) = log_reader(database).columns()

    assert list(map(_comparable("created_at"), json.loads(block.arrays["created_at"]))) == times


def test_nan_and_the_sign_of_zero_are_kept_by_column(database: Database) -> None:
    # SQLite has neither of them.
    numbers = [float("nan"), -0.0] if isinstance(database, PostgresqlDatabase) else [0.25, 0.1]
    write(database, *(logged(i, proba=number) for i, number in enumerate(numbers)))

    (block,) = log_reader(database).columns()

    assert list(map(repr, block.reals["proba"])) == list(map(repr, numbers))


def _comparable(name: str) -> Callable[[Any], Any]:
    """Times are compared as such: their texts may have several forms."""
    return lambda value: datetime.fromisoformat(value) if value and name in ("created_at", "labelled_at") else value
