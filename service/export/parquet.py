"""Exports the log as an Apache Parquet file. The log is read once: its blocks wait in a temporary file until the
columns of all rows are known, so memory does not grow with the log."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from service.export.arrow_columns import TYPES, of_kind, stored
from service.export.block_values import BlockDecoder, BlockValues
from service.export.formats import Columns
from service.export.table_schema import TableSchema
from service.prediction.filter import PredictionFilter
from service.storage.reading.log_reader import MOST_ROWS, LogReader

_GROUP_ROWS, _GROUP_BYTES = 50_000, 2**26
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")
_READING = 0.8  # its share of the work


def export_parquet(
    reader: LogReader,
    wanted: PredictionFilter,
    file: IO[bytes],
    advance: Callable[[float], object],
    block_rows: int = MOST_ROWS,
) -> int:
    """Writes the matching rows of the present log, oldest first, and returns their number; a column without values is
    text. The columns are those of `export_table`. Calls `advance` with the completed share of the work."""
    schema, decoder, rows = TableSchema(), BlockDecoder(), 0
    at = reader.snapshot()
    with closing(_Blocks()) as blocks:
        # As in the other formats, rows with another state of the label count for the columns.
        for block in reader.columns(replace(wanted, labelled=None), block_rows, at):
            values = decoder.decode(block)
            batch = _stored(values, schema)
            if wanted.labelled is not None:
                is_labelled = [time is not None for time in values.own["labelled_at"]]
                batch = batch.filter(pa.array([each is wanted.labelled for each in is_labelled], pa.bool_()))
            blocks.add(batch)
            rows += batch.num_rows
            advance(_READING * (block.end or at.last_id) / (at.last_id or 1))
        _write(file, schema.columns, blocks, lambda written: advance(_READING + (1 - _READING) * written / (rows or 1)))
    advance(1.0)
    return rows


def _stored(values: BlockValues, schema: TableSchema) -> pa.RecordBatch:
    """The values of a block as they are stored, after `schema` has learned their kinds."""
    found = [{name: stored(column) for name, column in columns.items()} for columns in values]
    schema.join(*({name: kind for name, (kind, _) in columns.items()} for columns in found))
    arrays = {name: array for columns in found for name, (_, array) in columns.items()}
    return pa.record_batch(arrays)


class _Blocks:
    """Blocks of rows in a temporary file, each with its own columns and types."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._number = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds a block at the end."""
        with pa.ipc.new_stream(self._file, batch.schema, options=_COMPRESSED) as stream:
            stream.write_batch(batch)
        self._number += 1

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._file.seek(0)
        for _ in range(self._number):
            with pa.ipc.open_stream(self._file) as stream:
                yield from stream

    def close(self) -> None:
        """Removes the file."""
        self._file.close()


def _write(
    file: IO[bytes], columns: Columns, blocks: Iterable[pa.RecordBatch], on_rows: Callable[[int], object]
) -> None:
    schema = pa.schema([(name, TYPES[kind]) for name, kind in columns.items()])
    written = 0
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with pq.ParquetWriter(file, schema, use_dictionary=texts) as writer:  # numbers are seldom equal
        for group in _groups(_of_columns(block, columns, schema) for block in blocks):
            writer.write_table(group, row_group_size=len(group))
            written += len(group)
            on_rows(written)


def _groups(blocks: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in groups that are large enough for a row group."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for block in blocks:
        waiting.append(block)
        rows, size = rows + len(block), size + block.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(waiting)


def _of_columns(block: pa.RecordBatch, columns: Columns, schema: pa.Schema) -> pa.RecordBatch:
    missing = pa.nulls(len(block))
    found = dict(zip(block.schema.names, block.columns, strict=True))
    return pa.record_batch([of_kind(found.get(name, missing), kind) for name, kind in columns.items()], schema)
