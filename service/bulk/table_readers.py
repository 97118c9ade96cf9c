"""Reads files as batches of rows. The cells of CSV are strings, and those of the other formats have their types."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from serialize.errors import one_line
from service.bulk.place_error import PlaceError
from service.bulk.places import InputFile
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
    """A part of a file. `number` counts the parts of the file, and `share` is how much of it has been read after this
    part, from 0 to 1."""

    number: int
    rows: Iterator[Rows]
    share: float


def blocks(file: InputFile, options: CsvOptions) -> Iterator[Block]:
    """The parts of a file in order: the row groups of Parquet, the batches of other formats. The rows of a part must be
    read before the next part. Raises PlaceError."""
    with _failures(file.name), file.open() as opened:
        match file.format.name:
            case "parquet":
                yield from _row_groups(pq.ParquetFile(opened))
            case "arrow":
                yield from _record_batches(pa.ipc.open_file(opened))
            case "csv":
                content = _content(opened, file)
                for block in _csv_blocks(content, options):
                    yield block._replace(share=_share(opened))
            case "ndjson":
                for number, rows in enumerate(_line_rows(_content(opened, file))):
                    yield Block(number, iter([rows]), _share(opened))


def _content(opened: IO[bytes], file: InputFile) -> IO[bytes]:
    return gzip.GzipFile(fileobj=opened) if file.format.is_gzip else opened  # type: ignore[return-value]


def _row_groups(file: pq.ParquetFile) -> Iterator[Block]:
    _require_different(file.schema_arrow.names)
    first_row = 0
    for number in range(file.num_row_groups):
        batches = file.iter_batches(BATCH_ROWS, row_groups=[number])
        yield Block(number, _numbered(batches, first_row), (number + 1) / file.num_row_groups)
        first_row += file.metadata.row_group(number).num_rows


def _record_batches(file: pa.ipc.RecordBatchFileReader) -> Iterator[Block]:
    _require_different(file.schema.names)
    first_row = 0
    for number in range(file.num_record_batches):
        batch = file.get_batch(number)
        parts = (batch.slice(start, BATCH_ROWS) for start in range(0, batch.num_rows, BATCH_ROWS))
        yield Block(number, _numbered(parts, first_row), (number + 1) / file.num_record_batches)
        first_row += batch.num_rows


def _numbered(batches: Iterable[pa.RecordBatch], first_row: int) -> Iterator[Rows]:
    for batch in batches:
        yield Rows(batch, np.arange(first_row, first_row + batch.num_rows), {})
        first_row += batch.num_rows


def _line_rows(file: IO[bytes]) -> Iterator[Rows]:
    """The lines that are not empty, as a column of bytes."""
    first = 0
    while lines := file.readlines(_LINES_BYTES):
        texts = [line.strip() for line in lines]
        numbers = np.flatnonzero([bool(text) for text in texts])
        column = pa.array([text for text in texts if text], pa.large_binary())
        yield Rows(pa.record_batch({"line": column}), first + numbers, {})
        first += len(lines)


def _csv_blocks(file: IO[bytes], options: CsvOptions) -> Iterator[Block]:
    head, names = _header(file, options)
    if not names:
        return
    _require_different(names)
    odd = _OddRows(len(names))
    reader = pa_csv.open_csv(
        io.BufferedReader(_Chained(head, file), _CSV_BYTES),
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BYTES, encoding=options.encoding),
        parse_options=pa_csv.ParseOptions(
            delimiter=options.separator, newlines_in_values=True, invalid_row_handler=odd.skip
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    for number, batch in enumerate(reader):
        yield Block(number, iter([odd.numbered(batch)]), 0.0)


def _share(file: IO[bytes]) -> float:
    """How much of a file has been read; 0 if that is not known."""
    try:
        place = file.tell()
        size = file.seek(0, io.SEEK_END)
        file.seek(place)
    except OSError:  # standard input
        return 0.0
    return place / size if size else 1.0


class _OddRows:
    """The rows of a CSV file that have another number of values than the header, and the numbers of the others."""

    def __init__(self, width: int) -> None:
        self._expected = f"{width} values, as many as the header has names"
        self._found: dict[int, Fault] = {}
        self._next = 0

    def skip(self, row: Any) -> str:
        """Notes such a row."""
        detail = f"expected {self._expected}; got {row.actual_columns}"
        self._found[row.number - _HEADER_ROWS] = Fault("", detail, row.text, self._expected, "number of values")
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


_HEADER_ROWS = 2  # the rows of pyarrow are numbered from 1, and the first is the header


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
def _failures(name: str) -> Iterator[None]:
    try:
        yield
    except PlaceError as error:
        raise PlaceError(f"{name} cannot be read: {error}.") from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeError, LookupError, csv.Error) as error:
        raise PlaceError(f"{name} cannot be read: {one_line(error)}.") from error
