"""A table is read from CSV, Parquet and NDJSON with the types of its values."""

from pathlib import Path

import fastparquet
import pandas as pd
import pytest

from serialize import DumpError
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_file import read_table

TABLE = pd.DataFrame({"code": ["00012", "7"], "number": [1.5, None], "flag": [True, False]})


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_a_table_keeps_its_values(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    match ending:
        case "csv":
            TABLE.to_csv(path, index=False)
        case "parquet":
            fastparquet.write(str(path), TABLE.astype({"code": object}))
        case _:
            TABLE.to_json(path, orient="records", lines=True)

    table = read_table(CsvFile(path), ["code"])

    assert table["code"].tolist() == ["00012", "7"]
    assert table["number"].tolist() == [1.5, pytest.approx(float("nan"), nan_ok=True)]
    assert table["flag"].tolist() == [True, False]


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")

    with pytest.raises(DumpError, match="has a header but no rows"):
        read_table(CsvFile(tmp_path / "rows.csv"))
