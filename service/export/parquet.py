"""Writes a table to an Apache Parquet file, one row group of at least 20,000 rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import pandas as pd
from fastparquet import writer

from service.export.formats import Blocks, Columns, TableKind, TableRow

_GROUP_ROWS = 20_000
_DTYPES: Mapping[TableKind | None, Any] = {
    "boolean": "boolean",
    "integer": "Int64",
    "number": "float64",
    "text": object,
    "json": object,
    None: object,
}
_IN_UTC = pd.Series([], dtype="datetime64[us, UTC]")


def write_parquet(file: IO[bytes], columns: Columns, blocks: Blocks) -> None:
    """Writes the rows with typed columns and nulls; a column without values is text."""
    described = _frame(columns, ()).assign(**{name: _IN_UTC for name, kind in columns.items() if kind == "moment"})
    schema = writer.make_metadata(described, object_encoding="utf8", index_cols=[])
    writer.write_simple(file, _groups(columns, blocks), schema, compression="SNAPPY", stats="auto")


def _groups(columns: Columns, blocks: Blocks) -> Iterator[pd.DataFrame]:
    waiting: list[pd.DataFrame] = []
    for rows in blocks:
        waiting.append(_frame(columns, rows))
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield pd.concat(waiting, ignore_index=True)
            waiting = []
    if waiting:
        yield pd.concat(waiting, ignore_index=True)


def _frame(columns: Columns, rows: Sequence[TableRow]) -> pd.DataFrame:
    return pd.DataFrame({name: _series([row[name] for row in rows], kind) for name, kind in columns.items()})


def _series(values: list[Any], kind: TableKind | None) -> "pd.Series[Any]":
    if kind == "moment":  # without the zone, which is in the schema: the writer takes the plain numbers
        moments = pd.to_datetime(values, format="ISO8601", utc=True)
        return pd.Series(moments.tz_localize(None), dtype="datetime64[us]")
    series: pd.Series[Any] = pd.Series(values, dtype=_DTYPES[kind])
    return series
