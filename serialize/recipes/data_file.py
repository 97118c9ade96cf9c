"""The rows of a user's file, cell by cell: a CSV file, or by the ending of its name Parquet, Arrow or NDJSON."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from serialize.errors import DumpError, one_line
from serialize.files.formats import FileFormat, format_of
from serialize.frame import observations
from serialize.recipes.csv_file import CsvFile

Cells = Mapping[str, Any]

_CSV = FileFormat("csv")


def read_table(file: CsvFile, strings: Sequence[str] = ()) -> pd.DataFrame:
    """The n rows of a file with the dtypes that pandas infers from CSV and NDJSON, or that a Parquet file has; the
    columns `strings` of a CSV file are read as text. Raises DumpError as `read_cells`."""
    if is_csv(file):
        return file.table(strings)
    names, rows = read_cells(file)
    return pd.DataFrame(rows, columns=names)


def is_csv(file: CsvFile) -> bool:
    """Whether a file is read as CSV, by the ending of its name."""
    return _format(file).name == "csv"


def read_cells(file: CsvFile) -> tuple[list[str], list[Cells]]:
    """The column names of a file, and its n rows by column name. A cell of a CSV file is its text, "" if it is empty;
    of the other files a null is None, and an object of NDJSON may lack a column. Raises DumpError for a file that
    cannot be read or has no rows."""
    form = _format(file)
    if form.name == "ndjson":
        return _objects(file, form)
    table = file.cells() if form.name == "csv" else _typed(file, form)
    if not len(table):
        raise DumpError(f"{file.name} has no rows.")
    return list(map(str, table.columns)), list(observations(table))


def read_texts(file: CsvFile) -> pd.DataFrame:
    """The n rows of a file with every cell as text, None for a null and for an empty cell. Raises DumpError as
    `read_cells`."""
    names, rows = read_cells(file)
    cells = {name: [_text(row.get(name)) for row in rows] for name in names}
    return pd.DataFrame(cells, dtype=object)


def _format(file: CsvFile) -> FileFormat:
    """The format by the ending of the name; a file with any other ending is CSV."""
    return format_of(Path(file.path).name) or _CSV


def _text(cell: Any) -> str | None:
    return None if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)) else str(cell)


def _typed(file: CsvFile, form: FileFormat) -> pd.DataFrame:
    """The rows of a Parquet or Arrow file. Decimal numbers are floats; integers and booleans with nulls are
    objects, because a float is not exact."""
    try:
        import pyarrow  # noqa: PLC0415 - only a Parquet file needs it
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError:
        raise DumpError(
            f"{file.name} needs pyarrow, which is not installed; run pip install 'prediction-service[bulk]'."
        ) from None
    try:
        with Path(file.path).open("rb") as opened:
            table = ParquetFile(opened).read() if form.name == "parquet" else pyarrow.ipc.open_file(opened).read_all()
        for place, field in enumerate(table.schema):
            if pyarrow.types.is_decimal(field.type):
                table = table.set_column(place, field.name, table.column(place).cast(pyarrow.float64()))
        frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
        return frame
    except Exception as error:  # a damaged file can raise any
        raise DumpError(f"{file.name} cannot be read: {one_line(error)}.") from error


def _objects(file: CsvFile, form: FileFormat) -> tuple[list[str], list[Cells]]:
    try:
        rows = [json.loads(line) for line in _content(file, form).split("\n") if line.strip()]
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise DumpError(f"{file.name} cannot be read: {' '.join(str(error).split())}.") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DumpError(f"{file.name} does not hold one JSON object per line.")
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _content(file: CsvFile, form: FileFormat) -> str:
    content = Path(file.path).read_bytes()
    return (gzip.decompress(content) if form.is_gzip else content).decode("utf-8")
