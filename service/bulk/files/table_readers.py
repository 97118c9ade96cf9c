"""Reads files as batches of rows. The cells of CSV are strings, and those of the other formats have their types."""

import codecs
import csv
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from service.bulk.files.place_error import PlaceError
from service.bulk.files.places import STANDARD, InputFile
from service.errors import Fault

BATCH_ROWS = 64 * 1024
_HEAD_BYTES = 64 * 1024
_LINES_BYTES = 4 * 1024 * 1024
_CSV_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file is read."""

    separator: str = ","
    encoding: str = "utf-8"


class Rows(NamedTuple):
    """n rows of a file, their numbers in it, of shape (n,), and the faults of rows between them that could not be
    taken apart, by their number."""

    batch: pa.RecordBatch
    numbers: "np.ndarray[Any, np.dtype[np.int64]]"
    faults: Mapping[int, Sequence[Fault]]


class Block(NamedTuple):
    """A part of a file. `share` is how much of the file has been read after this part, from 0 to 1."""

    rows: Iterator[Rows]
    share: float


def blocks(file: InputFile, options: CsvOptions) -> Iterator[Block]:
    """The parts of a file in order: the row groups of Parquet, the batches of other formats. The rows of a part must be
    read before the next part. Raises PlaceError, also while rows are read."""
    with _failures(file, options), ExitStack() as stack:
        opened = stack.enter_context(file.open())
        match file.format.name:
            case "parquet":
                found = _row_groups(pq.ParquetFile(stack.enter_context(_seekable(opened, file))))
            case "arrow":
                found = _record_batches(pa.ipc.open_file(stack.enter_context(_seekable(opened, file))))
            case "csv":
                found = _csv_blocks(_Content(opened, file), options)
            case "ndjson":
                found = _line_blocks(_Content(opened, file))
        for block in found:
            yield block._replace(rows=_guarded(block.rows, file, options))


def _guarded(rows: Iterator[Rows], file: InputFile, options: CsvOptions) -> Iterator[Rows]:
    with _failures(file, options):
        yield from rows


@contextmanager
def _seekable(opened: IO[bytes], file: InputFile) -> Iterator[IO[bytes]]:
    """The file, or what standard input holds, in a temporary file."""
    if file.name != STANDARD:
        yield opened
        return
    with tempfile.TemporaryFile() as spooled:
        shutil.copyfileobj(opened, spooled)
        spooled.seek(0)
        yield spooled


class _Content:
    """The content of a file, decompressed. It counts the bytes of the file that were read: pyarrow reads CSV in a
    thread of its own, so nothing else may touch the file."""

    def __init__(self, opened: IO[bytes], file: InputFile) -> None:
        self._counted = _Counted(opened)
        buffered = io.BufferedReader(self._counted, _HEAD_BYTES)
        self.file: Any = gzip.GzipFile(fileobj=buffered) if file.format.is_gzip else buffered
        self._size = file.size

    @property
    def share(self) -> float:
        """How much of the file was read, from 0 to 1; 0 if its size is not known."""
        return min(1.0, self._counted.count / self._size) if self._size else 0.0


class _Counted(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        self.count += len(content)
        return len(content)


def _row_groups(file: pq.ParquetFile) -> Iterator[Block]:
    _require_different(file.schema_arrow.names)
    first_row = 0
    for number in range(file.num_row_groups):
        batches = file.iter_batches(BATCH_ROWS, row_groups=[number])
        yield Block(_numbered(batches, first_row), (number + 1) / file.num_row_groups)
        first_row += file.metadata.row_group(number).num_rows


def _record_batches(file: pa.ipc.RecordBatchFileReader) -> Iterator[Block]:
    _require_different(file.schema.names)
    first_row = 0
    for number in range(file.num_record_batches):
        batch = file.get_batch(number)
        parts = (batch.slice(start, BATCH_ROWS) for start in range(0, batch.num_rows, BATCH_ROWS))
        yield Block(_numbered(parts, first_row), (number + 1) / file.num_record_batches)
        first_row += batch.num_rows


def _numbered(batches: Iterable[pa.RecordBatch], first_row: int) -> Iterator[Rows]:
    for batch in batches:
        yield Rows(_plain(batch), np.arange(first_row, first_row + batch.num_rows), {})
        first_row += batch.num_rows


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


def _line_blocks(content: _Content) -> Iterator[Block]:
    """The lines that are not empty, as a column of bytes."""
    first = 0
    while lines := content.file.readlines(_LINES_BYTES):
        texts = [line.strip() for line in lines]
        numbers = np.flatnonzero([bool(text) for text in texts])
        column = pa.array([text for text in texts if text], pa.large_binary())
        yield Block(iter([Rows(pa.record_batch({"line": column}), first + numbers, {})]), content.share)
        first += len(lines)


def _csv_blocks(content: _Content, options: CsvOptions) -> Iterator[Block]:
    head, names = _header(content.file, options)
    if not names:
        return
    _require_different(names)
    odd = _OddRows(len(names))
    reader = pa_csv.open_csv(
        io.BufferedReader(_Chained(head, content.file), _CSV_BYTES),
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BYTES, encoding=options.encoding),
        parse_options=pa_csv.ParseOptions(
            delimiter=options.separator, newlines_in_values=True, invalid_row_handler=odd.skip
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    for batch in reader:
        yield Block(iter([odd.numbered(batch)]), content.share)
    yield Block(iter([odd.rest(reader.schema)]), 1.0)


class _OddRows:
    """The rows of a CSV file that have another number of values than the header, and the numbers of the others."""

    def __init__(self, width: int) -> None:
        self._expected = f"{width} values, as many as the header has names"
        self._found: dict[int, Fault] = {}
        self._next = 0

    def skip(self, row: Any) -> str:
        """Notes such a row."""
        detail = f"expected {self._expected}; got {row.actual_columns}"
        self._found[row.number - _FIRST_ROW] = Fault("", detail, row.text, self._expected, "number of values")
        return "skip"

    def numbered(self, batch: pa.RecordBatch) -> Rows:
        """The next rows with their numbers."""
        first, count = self._next, batch.num_rows
        span = np.arange(first, first + count + len(self._found))
        numbers = span[~np.isin(span, list(self._found))][:count]
        self._next = int(numbers[-1]) + 1 if count else first
        while self._next in self._found:
            self._next += 1
        faults = {number: [self._found.pop(number)] for number in sorted(self._found) if number < self._next}
        return Rows(batch, numbers, faults)

    def rest(self, schema: pa.Schema) -> Rows:
        """No rows, and the faults of the rows after the last one that could be taken apart."""
        faults = {number: [fault] for number, fault in sorted(self._found.items())}
        return Rows(pa.RecordBatch.from_pylist([], schema=schema), np.zeros(0, dtype=np.int64), faults)


_FIRST_ROW = 2  # the rows of pyarrow are numbered from 1, and row 1 is the header


def _header(file: IO[bytes], options: CsvOptions) -> tuple[bytes, list[str]]:
    """The first bytes of a CSV file, and the names in its first row; none if no other row follows."""
    encoding = "utf-8-sig" if options.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else options.encoding
    head = b""
    while True:
        more = file.read(_HEAD_BYTES)
        head += more
        text = codecs.getincrementaldecoder(encoding)().decode(head)
        rows = filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=options.separator))
        found = list(islice(rows, 2))
        if len(found) == 2:  # so the header is complete
            return head, found[0]
        if not more:
            return head, []


class _Chained(io.RawIOBase):
    """Bytes that were read, and then the rest of their file."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head = io.BytesIO(head)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._head.read(len(buffer)) or self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _require_different(names: Sequence[str]) -> None:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise PlaceError(f"two columns are called {twice!r}; rename one of them")


@contextmanager
def _failures(file: InputFile, options: CsvOptions) -> Iterator[None]:
    """Turns the errors of a file into one sentence."""
    try:
        yield
    except UnicodeError as error:
        encoding = f"{options.encoding}; give its encoding with --encoding" if file.format.name == "csv" else "UTF-8"
        raise PlaceError(f"{file.name} cannot be read: it is not {encoding}.") from error
    except PlaceError as error:
        if str(error).startswith(file.name):
            raise
        raise PlaceError(f"{file.name} cannot be read: {error}.") from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise PlaceError(f"{file.name} cannot be read: {why or type(error).__name__}.") from error
