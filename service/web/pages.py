"""Reads the prediction log in pages or as a stream, newest first, and erases single rows. It uses connections of its
own, so predictions do not wait, and holds one block of rows at a time."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

from service.batching import Batcher, Process
from service.errors import ServiceError
from service.pacing import give_way
from service.prediction.filter import PredictionFilter
from service.storage.reading.log_reader import MOST_ROWS, LogReader, Snapshot
from service.web.query import Arguments, LogArguments, PageQuery

Item = TypeVar("Item")
Result = TypeVar("Result")
Job = Callable[[], Any]
Batched = Callable[[Process[Any, Any]], Batcher[Any, Any]]

_FIRST_ROWS = 100
_PART_BYTES = 1024 * 1024


class Page(NamedTuple):
    """The body of a page, and the relative URL of the next one, if there is one."""

    body: str
    next: str | None


class LogAccess:
    """What the pages of all models share. `reading` runs a job with the connection of the `reader` open, `erasing`
    erases the row of an id, and `read_batched` and `erase_batched` make the batchers that do so for concurrent callers,
    one after another."""

    def __init__(
        self,
        reader: LogReader,
        reading: Callable[[Job], Any],
        erasing: Callable[[str], str],
        read_batched: Batched,
        erase_batched: Batched,
    ) -> None:
        self.reader = reader
        self.read: Batcher[Job, Any] = read_batched(lambda jobs: [_paced(reading, job) for job in jobs])
        self.erase: Batcher[str, str] = erase_batched(lambda keys: [_outcome(erasing, key) for key in keys])


class LogPages:
    """The pages of the log for one model, whose task gives the `arguments` their meaning."""

    def __init__(self, arguments: LogArguments, access: LogAccess) -> None:
        self._arguments = arguments
        self._reader, self._read, self._erase = access.reader, access.read, access.erase

    def page(self, arguments: Arguments) -> Page:
        """A page of rows, newest first. Raises InvalidQuery, and Unavailable if the log cannot be read now."""
        query = self._arguments.page(arguments)
        found = self._rows(query)
        lines = [line for _, line in found[: query.limit]]
        more = query.next(int(found[query.limit - 1][0])) if len(found) > query.limit else None
        return Page(f'{{"predictions":[{",".join(lines)}],"next":{json.dumps(more)}}}\n', more)

    def stream(self, arguments: Arguments) -> Iterator[bytes]:
        """Every matching row that is committed now, newest first, as NDJSON in blocks of rows. Raises like `page`,
        before the first block."""
        predictions, after = self._arguments.stream(arguments)

        def begin() -> tuple[Snapshot, "_Part"]:
            snapshot = self._reader.snapshot()
            return snapshot, self._part(predictions, after, _FIRST_ROWS, snapshot)

        snapshot, first = self._read.submit(begin)
        return self._parts(predictions, snapshot, first)

    def erase(self, arguments: Arguments) -> tuple[str, str]:
        """Erases one row and returns, after the commit, its id and the erased row, both as JSON. Raises InvalidQuery,
        UnknownObservation and Unavailable."""
        key = self._arguments.key(arguments)
        return key, self._erase.submit(key)

    def _rows(self, query: PageQuery) -> list[tuple[str, str]]:
        """Up to `limit` + 1 rows as (key, line); the extra row shows that there is a next page."""
        found: list[tuple[str, str]] = []
        end, size = query.after, query.limit + 1
        while True:
            lines, end = self._read.submit(partial(self._lines, query, end, size))
            found += lines
            if end is None or len(found) > query.limit:
                return found
            size = min(2 * size, MOST_ROWS)

    def _lines(self, query: PageQuery, end: int | None, size: int) -> tuple[list[tuple[str, str]], int | None]:
        block = self._reader.older(query.predictions, end, size)
        return [(row.id, row.line()) for row in block.rows[: query.limit + 1]], block.end

    def _parts(self, predictions: PredictionFilter, snapshot: Snapshot, part: "_Part") -> Iterator[bytes]:
        while True:
            if part.text:
                yield part.text
            if part.end is None:
                return
            part = self._read.submit(partial(self._part, predictions, part.end, part.next_size, snapshot))

    def _part(self, predictions: PredictionFilter, end: int | None, size: int, snapshot: Snapshot) -> "_Part":
        block = self._reader.older(predictions, end, size, snapshot)
        text = "".join([row.line() + "\n" for row in block.rows]).encode("ascii")
        # Rows may be long: bound the bytes held at once, not only the number of rows.
        next_size = max(1, min(MOST_ROWS, _PART_BYTES * len(block.rows) // len(text))) if text else MOST_ROWS
        return _Part(text, block.end, next_size)


class _Part(NamedTuple):
    """The lines of a block, the key at its end, and the number of rows to read next."""

    text: bytes
    end: int | None
    next_size: int


def _outcome(do: Callable[[Item], Result], item: Item) -> Result | ServiceError:
    try:
        return do(item)
    except ServiceError as error:
        return error


def _paced(reading: Callable[[Job], Any], job: Job) -> Any:
    """The outcome of a job. Then others may run."""
    found = _outcome(reading, job)
    give_way()
    return found
