"""Parquet holds the same table as the other formats, in several row groups. It is made block by block and column by
column, and compared here with the table that is made row by row."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peewee import Database

from service.export.arrow_columns import TYPES
from service.export.formats import Blocks, Columns
from service.export.log_table import export_table
from service.export.parquet import export_parquet
from service.prediction.filter import EVERYTHING, PredictionFilter
from service.storage.reading.log_reader import MOST_ROWS, log_reader
from tests.support.filled import fill, insert


def read(path: Path) -> pd.DataFrame:
    """Reads a file with the types that keep nulls."""
    return pd.read_parquet(path, dtype_backend="numpy_nullable")


def written(
    database: Database,
    wanted: PredictionFilter = EVERYTHING,
    block_rows: int = MOST_ROWS,
    advance: Callable[[float], object] = lambda share: None,
) -> pa.Table:
    """Exports the log and reads it."""
    file = BytesIO()
    rows = export_parquet(log_reader(database), wanted, file, advance, block_rows)
    table = pq.read_table(file)
    assert table.num_rows == rows
    return table


def by_row(database: Database, wanted: PredictionFilter) -> pa.Table:
    """The same table made row by row."""
    found: dict[str, Any] = {}

    def take(columns: Columns, blocks: Blocks) -> None:
        found.update(columns=columns, rows=[row for rows in blocks for row in rows])

    export_table(log_reader(database), wanted, take, lambda share: None)
    arrays = {}
    for name, kind in found["columns"].items():
        values = [row[name] for row in found["rows"]]
        if kind == "moment":
            values = [None if value is None else datetime.fromisoformat(value) for value in values]
        arrays[name] = pa.array(values, TYPES[kind])
    return pa.table(arrays)


def assert_equal(found: pa.Table, expected: pa.Table) -> None:
    assert found.schema.remove_metadata() == expected.schema
    assert repr(found.to_pylist()) == repr(expected.to_pylist())  # 0.0 is not -0.0


SCALARS = st.sampled_from(
    ["null", "true", "false", "0", "1", "-0", "7.0", "1.5", "-0.0", "1E5", "5e-324", "1e400", "0.1234567890123456789"]
    + [str(sign * 2**power + more) for sign in (1, -1) for power in (53, 63, 64) for more in (-1, 0, 1)]
    + ['""', '"a"', '"1"', '"null"', '"\u00e9\U0001f600\u2028"', '"\\u00e9\\n"', '"\\ud83d\\ude00"', '"\\ud800"']
    + ['"x\\udc00\\ud800"', "[]", "{}", '[1, {"b": null}]', '{"a": "\\ud800"}']
)
NAMES = st.sampled_from(["a", "b", "c", "\u00e9", "", "id", "observation", "observation.id", "probas.u", 'q"\\', "\n"])
OBJECTS = st.lists(st.tuples(NAMES, SCALARS), max_size=5).map(  # a name may occur twice
    lambda members: "{" + ", ".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"
)
LABELS = st.sampled_from([None, "true", "false", "0", "1", "1.5", '"u"', '"\u00e9"'])
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
TIMES = st.sampled_from(
    [datetime(2026, 1, 31, 12, 0, 0, 1, UTC), datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 1, UTC)]
)
ROWS = st.fixed_dictionaries(
    {
        "observation": st.one_of(OBJECTS, OBJECTS, OBJECTS, SCALARS),
        "proba": NUMBERS,
        "probas": st.sampled_from([None, None, '{"u":0.25,"v":0.75}', '{"v":1.0}']),
        "predicted_class": LABELS,
        "predicted_value": NUMBERS,
        "threshold": NUMBERS,
        "true_class": LABELS,
        "true_value": NUMBERS,
        "model_version": st.sampled_from([None, "0123456789ab", "\u00e9"]),
        "created_at": TIMES,
        "labelled_at": st.one_of(st.none(), TIMES),
    }
)
IDS = st.lists(
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.text('ab\u00e9\n"', min_size=1, max_size=3)), unique=True, max_size=9
)


def test_the_table_is_the_one_that_is_made_row_by_row(database: Database) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        with database.atomic():
            database.execute_sql("DELETE FROM prediction", ())
            for key in data.draw(IDS):
                insert(database, json.dumps(key), **data.draw(ROWS))
        wanted = PredictionFilter(labelled=data.draw(st.sampled_from([None, None, True, False])))

        found = written(database, wanted, block_rows=data.draw(st.integers(1, 6)))

        assert_equal(found, by_row(database, wanted))

    compare()


def test_kinds_that_change_late_in_the_log_are_those_of_all_rows(database: Database) -> None:
    observations = [
        '{"n":1,"t":"a","j":true,"i":5}',
        '{"n":2,"t":null,"j":false}',
        '{"n":2.5,"t":"\\ud800","j":0.5,"late":1}',
    ]
    for number, observation in enumerate(observations * 2):
        insert(database, json.dumps(str(number) if number == 5 else number), observation=observation)

    table = written(database, block_rows=1)

    assert_equal(table, by_row(database, EVERYTHING))
    assert table["n"].to_pylist() == [1.0, 2.0, 2.5] * 2
    assert table["t"].to_pylist() == ["a", None, "\\ud800"] * 2
    assert table["j"].to_pylist() == ["true", "false", "0.5"] * 2
    assert table["late"].to_pylist() == [None, None, 1] * 2
    assert table["observation_id"].to_pylist() == ["0", "1", "2", "3", "4", '"5"']


def test_many_rows_are_in_several_groups_in_order(database: Database, database_url: str, tmp_path: Path) -> None:
    fill(database_url, 101_000)
    shares: list[float] = []
    with (tmp_path / "a.parquet").open("wb") as file:
        export_parquet(log_reader(database), EVERYTHING, file, shares.append)

    parquet = pq.ParquetFile(tmp_path / "a.parquet")

    assert parquet.read(["observation_id"])["observation_id"].to_pylist() == list(range(101_000))
    groups = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    assert groups == [50_000, 50_000, 1_000]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.1 < shares[-1] == 1.0


def test_long_texts_make_smaller_groups(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.export.parquet._GROUP_BYTES", 10_000)
    for number in range(6):
        insert(database, str(number), observation=json.dumps({"text": "a" * 4_000}))
    file = BytesIO()

    export_parquet(log_reader(database), EVERYTHING, file, lambda share: None, block_rows=1)

    parquet = pq.ParquetFile(file)
    assert [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)] == [3, 3]


def test_an_empty_log_has_the_columns_of_the_log(database: Database) -> None:
    table = written(database)

    assert table.num_rows == 0
    assert_equal(table, by_row(database, EVERYTHING))


def test_times_in_another_form_of_iso_8601_are_read(database: Database) -> None:
    forms = [
        "2026-01-31T12:00:00+02:00",
        "2026-01-31 12:00:00",
        "2026-01-31T12:00:00.5Z",
        "2026-01-31T12:00:00.123456-05:30",
    ]
    for number, form in enumerate(forms):
        insert(database, str(number))
        database.execute_sql(f"UPDATE prediction SET created_at = '{form}' WHERE observation_id = '{number}'", ())

    found = [time.isoformat() for time in written(database)["created_at"].to_pylist()]

    assert found == [
        "2026-01-31T10:00:00+00:00",
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00.500000+00:00",
        "2026-01-31T17:30:00.123456+00:00",
    ]
