"""Reads Parquet and Arrow files, whose cells have types. They are read by units: a row group of Parquet, a record batch
of Arrow."""

from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serialize.files.places import InputFile
from service.bulk.files.rows import Rows, readable, require_different

BATCH_ROWS = 64 * 1024


class Units(NamedTuple):
    """Units of a file from `first` to before `end`, and the number of their first row in the file."""

    first: int
    end: int
    first_row: int


def unit_rows(file: InputFile) -> list[int]:
    """The number of rows of each unit. Raises PlaceError."""
    with readable(file.name), file.open() as opened:
        if file.format.name == "parquet":
            parquet = pq.ParquetFile(opened)
            require_different(parquet.schema_arrow.names)
            return [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        names = pa.ipc.open_file(opened).schema.names
        require_different(names)
        arrow = pa.ipc.open_file(opened, options=pa.ipc.IpcReadOptions(included_fields=[0] if names else []))
        return [arrow.get_batch(i).num_rows for i in range(arrow.num_record_batches)]


def read_units(file: InputFile, units: Units, encoded: Sequence[str] = ()) -> Iterator[Rows]:
    """The rows of some units, in batches. The columns `encoded` of Parquet, if they hold text, are read as codes of
    their different values, which takes less time. Raises PlaceError."""
    with readable(file.name), file.open() as opened:
        first_row = units.first_row
        for batch in _batches(file, opened, range(units.first, units.end), encoded):
            yield Rows(_plain(batch), np.arange(first_row, first_row + batch.num_rows), {})
            first_row += batch.num_rows


def _batches(
    file: InputFile, opened: IO[bytes], numbers: Iterable[int], encoded: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    if file.format.name == "parquet":
        metadata = pq.read_metadata(opened)
        leaves = {metadata.schema.column(place).path for place in range(metadata.num_columns)}
        known = [name for name in encoded if name in leaves]
        parquet = pq.ParquetFile(opened, metadata=metadata, read_dictionary=known)
        yield from parquet.iter_batches(BATCH_ROWS, row_groups=list(numbers))
        return
    arrow = pa.ipc.open_file(opened)
    for number in numbers:
        batch = arrow.get_batch(number)
        yield from (batch.slice(start, BATCH_ROWS) for start in range(0, batch.num_rows, BATCH_ROWS))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with columns in the usual layouts, which all functions of pyarrow know."""
    for place, field in enumerate(batch.schema):
        kind, column = field.type, batch.column(place)
        if pa.types.is_run_end_encoded(kind):
            batch = batch.set_column(place, field.name, pc.run_end_decode(column))
        elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            plain = pa.string() if pa.types.is_string_view(kind) else pa.binary()
            batch = batch.set_column(place, field.name, column.cast(plain))
    return batch
