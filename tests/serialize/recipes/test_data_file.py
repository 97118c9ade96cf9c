"""A table is read from CSV, Parquet and NDJSON with the types of its values."""

import sys
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serialize import DumpError
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_file import read_cells, read_table

TABLE = pd.DataFrame({"code": ["00012", "7"], "number": [1.5, None], "flag": [True, False]})


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_a_table_keeps_its_values(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    match ending:
        case "csv":
            TABLE.to_csv(path, index=False)
        case "parquet":
            TABLE.to_parquet(path)
        case _:
            TABLE.to_json(path, orient="records", lines=True)

    table = read_table(CsvFile(path), ["code"])

    assert table["code"].tolist() == ["00012", "7"]
    assert table["number"].tolist() == [1.5, pytest.approx(float("nan"), nan_ok=True)]
    assert table["flag"].tolist() == [True, False]


def test_the_cells_of_parquet_are_exact(tmp_path: Path) -> None:
    columns = {
        "whole": pa.array([2**62 + 1, None]),
        "flag": pa.array([None, True]),
        "price": pa.array([Decimal("1.25"), None]),
        "port": pa.array(["S", None]).dictionary_encode(),
        "at": pa.array([1, None], pa.timestamp("us", "UTC")),
        "day": pa.array([1, None], pa.date32()),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")

    names, rows = read_cells(CsvFile(tmp_path / "rows.parquet"))

    assert names == list(columns)
    assert [list(row.values()) for row in rows] == [
        [2**62 + 1, None, 1.25, "S", "1970-01-01T00:00:00.000001+00:00", "1970-01-02"],
        [None, True, None, None, None, None],
    ]


def test_without_pyarrow_one_sentence_says_what_parquet_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(DumpError, match=r"rows\.parquet needs pyarrow, which is not installed; run pip install"):
        read_table(CsvFile(tmp_path / "rows.parquet"))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")

    with pytest.raises(DumpError, match="has a header but no rows"):
        read_table(CsvFile(tmp_path / "rows.csv"))
