"""Reads CSV and NDJSON as blocks of rows. The cells of CSV are strings, and a line of NDJSON is bytes."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from serialize.files.places import InputFile
from service.bulk.files.rows import CsvOptions, Rows, readable, require_different
from service.errors import Fault

_HEAD_BYTES = 64 * 1024
_LINES_BYTES = 4 * 1024 * 1024
_CSV_BYTES = 4 * 1024 * 1024


class Block(NamedTuple):
    """Rows of a file. `share` is how much of the file has been read after them, from 0 to 1."""

    rows: Rows
    share: float


def text_blocks(file: InputFile, options: CsvOptions) -> Iterator[Block]:
    """The rows of a CSV or NDJSON file in blocks of some megabytes. Raises PlaceError."""
    is_csv = file.format.name == "csv"
    encoding = f"{options.encoding}; give its encoding with --encoding" if is_csv else "UTF-8"
    with readable(file.name, encoding), file.open() as opened:
        content = _Content(opened, file)
        yield from _csv_blocks(content, options) if is_csv else _line_blocks(content)


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


def _line_blocks(content: _Content) -> Iterator[Block]:
    """The lines that are not empty, as a column of bytes."""
    first = 0
    while lines := content.file.readlines(_LINES_BYTES):
        texts = [line.strip() for line in lines]
        numbers = np.flatnonzero([bool(text) for text in texts])
        column = pa.array([text for text in texts if text], pa.large_binary())
        yield Block(Rows(pa.record_batch({"line": column}), first + numbers, {}), content.share)
        first += len(lines)


def _csv_blocks(content: _Content, options: CsvOptions) -> Iterator[Block]:
    head, names = _header(content.file, options)
    if not names:
        return
    require_different(names)
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
        yield Block(odd.numbered(batch), content.share)
    yield Block(odd.rest(reader.schema), 1.0)


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
