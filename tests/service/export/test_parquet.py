"""A table is read back from Parquet without a difference, in several row groups."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastparquet import ParquetFile

from service.export.formats import Blocks, Columns
from service.export.parquet import write_parquet


def read(path: Path) -> pd.DataFrame:
    """Reads a file with fastparquet, through bytes because the reader leaves files open."""
    table: pd.DataFrame = ParquetFile(BytesIO(path.read_bytes())).to_pandas()
    return table


def written(path: Path, columns: Columns, blocks: Blocks) -> pd.DataFrame:
    """Writes a table and reads it."""
    with path.open("wb") as file:
        write_parquet(file, columns, blocks)
    return read(path)


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [
        ("integer", "Int64", [0, None, 2**53 + 1, -(2**63), 2**63 - 1]),
        ("number", "float64", [0.1, None, 5e-324, 1.7976931348623157e308, -1.0]),
        ("boolean", "boolean", [True, None, False]),
        ("text", "object", ["", None, "a\0b", "\0", "é\u2028\U0001f600", "NA", "null", "\r\n", "x" * 100_000]),
        ("json", "object", ['"0"', None, "0", '{"a": [1]}']),
        (None, "object", [None, None]),
    ],
)
@pytest.mark.parametrize("nulls", [1, 0, -1])
def test_a_column_keeps_its_type_and_its_nulls(
    tmp_path: Path, kind: Any, dtype: str, values: list[Any], nulls: int
) -> None:
    values = {1: values, 0: [value for value in values if value is not None], -1: [None] * 9}[nulls]

    table = written(tmp_path / "a.parquet", {"a.é": kind, "": kind}, [[{"a.é": value, "": value}] for value in values])

    for name in ("a.é", ""):
        assert str(table[name].dtype) == dtype
        assert [None if pd.isna(value) else value for value in table[name]] == values


def test_moments_are_utc_and_exact_to_the_microsecond(tmp_path: Path) -> None:
    moments = [datetime(2026, 1, 31, 12, 0, 0, 1, UTC), None, datetime(1, 1, 1, tzinfo=UTC),
               datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)]  # fmt: skip
    rows = [{"at": moment and moment.isoformat(timespec="microseconds")} for moment in moments]

    table = written(tmp_path / "a.parquet", {"at": "moment"}, [rows])

    assert str(table["at"].dtype) == "datetime64[us, UTC]"
    assert [None if pd.isna(value) else value.to_pydatetime() for value in table["at"]] == moments


def test_many_rows_are_in_several_groups_in_order(tmp_path: Path) -> None:
    blocks = ([{"n": n, "even": n % 2 == 0} for n in range(start, start + 1500)] for start in range(0, 45_000, 1500))

    table = written(tmp_path / "a.parquet", {"n": "integer", "even": "boolean"}, blocks)

    assert table["n"].tolist() == list(range(45_000))
    assert table["even"].tolist() == [True, False] * 22_500
    assert [group.num_rows for group in ParquetFile(BytesIO((tmp_path / "a.parquet").read_bytes())).row_groups] == [
        21_000,
        21_000,
        3_000,
    ]


@pytest.mark.parametrize("blocks", [[], [[]], [[], [{"a": 1}], []]])
def test_blocks_may_be_empty_or_missing(tmp_path: Path, blocks: Blocks) -> None:
    table = written(tmp_path / "a.parquet", {"a": "integer"}, blocks)

    assert table["a"].tolist() == [row["a"] for rows in blocks for row in rows]
