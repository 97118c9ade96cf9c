"""Writes tables of answers to a binary file, one after the other, in each format."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pydantic_core import to_json

from serialize.files.formats import FileFormat

_PROBAS = "probas."


class TableWriter(Protocol):
    """Writes tables with one schema."""

    def write_table(self, table: pa.Table) -> None:
        """Writes the rows of a table."""


@contextmanager
def table_writer(file: IO[bytes] | gzip.GzipFile, schema: pa.Schema, wanted: FileFormat) -> Iterator[TableWriter]:
    """A writer of a format, which has written all when the block ends. The file stays open."""
    if wanted.is_gzip:
        with (
            gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as compressed,
            table_writer(compressed, schema, FileFormat(wanted.name)) as writer,
        ):
            yield writer
        return
    match wanted.name:
        case "parquet":
            texts = [field.name for field in schema if _is_text(field.type)]
            with pq.ParquetWriter(file, schema, use_dictionary=texts) as writer:  # numbers are seldom equal
                yield writer
        case "arrow":
            with pa.ipc.new_file(file, schema) as writer:
                yield writer
        case "csv":
            yield _CsvWriter(file)
        case "ndjson":
            yield _NdjsonWriter(file)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


class _CsvWriter:
    """Writes CSV with a header."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._has_header = False

    def write_table(self, table: pa.Table) -> None:
        options = pa_csv.WriteOptions(include_header=not self._has_header, quoting_style="needed")
        pa_csv.write_csv(_plain(table), self._file, options)
        self._has_header = True


class _NdjsonWriter:
    """Writes one JSON object per line. The probabilities by class are one member, as in an answer of POST /predict."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file

    def write_table(self, table: pa.Table) -> None:
        rows = _plain(table).to_pylist()
        for name in (field.name for field in table.schema if isinstance(field.type, pa.JsonType)):
            for row in rows:
                row[name] = None if row[name] is None else json.loads(row[name])
        self._file.writelines(to_json(_nested(row), inf_nan_mode="null") + b"\n" for row in rows)


def _plain(table: pa.Table) -> pa.Table:
    """The table with JSON texts as strings."""
    for place, field in enumerate(table.schema):
        if isinstance(field.type, pa.JsonType):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    return table


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its probabilities as one member. The columns to keep come after the version of the model."""
    own = list(row)[: list(row).index("model_version")]
    probas = {name.removeprefix(_PROBAS): row.pop(name) for name in own if name.startswith(_PROBAS)}
    return {**row, "probas": probas} if probas else row
