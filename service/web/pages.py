"""The log as it is read from outside: in pages and as a stream, newest first, and the erasing of one row. Beside the
serving path, on connections of their own, and one block of rows at a time."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

from service.batching import Batcher, Process
from service.errors import ServiceError
from service.prediction.filter import PredictionFilter
from service.storage.log_reader import MOST_ROWS, LogReader, Snapshot
from service.web.query import Arguments, LogArguments, PageQuery

Item = TypeVar("Item")
Result = TypeVar("Result")
Job = Callable[[], Any]

_FIRST_ROWS = 100
_PART_BYTES = 1024 * 1024


class Page(NamedTuple):
    """The body of a page, and the relative URL of the next one, if there is one."""

    body: str
    next: str | None


class LogPages:
    """`reading` runs a job with the connection of the reader open, `erase` erases the row of an id; `batched` makes the
    batchers that keep concurrent callers apart."""

    def __init__(
        self,
        arguments: LogArguments,
        reader: LogReader,
        reading: Callable[[Job], Any],
        erase: Callable[[str], str],
        batched: Callable[[Process[Any, Any]], Batcher[Any, Any]],
    ) -> None:
        self._arguments = arguments
        self._reader = reader
        self._read: Batcher[Job, Any] = batched(lambda jobs: [_outcome(reading, job) for job in jobs])
        self._erase: Batcher[str, str] = batched(lambda keys: [_outcome(erase, key) for key in keys])

    def page(self, arguments: Arguments) -> Page:
        """A page of rows, newest first. Raises InvalidQuery, and Unavailable where the log cannot be read now."""
        query = self._arguments.page(arguments)
        found = self._rows(query)
        lines = [line for _, line in found[: query.limit]]
        more = query.next(int(found[query.limit - 1][0])) if len(found) > query.limit else None
        return Page(f'{{"predictions":[{",".join(lines)}],"next":{_quoted(more)}}}\n', more)

    def stream(self, arguments: Arguments) -> Iterator[bytes]:
        """Every row that is wanted and was committed by now, newest first, a line each, in parts of some thousand.
        Raises as `page`, before the first part."""
        wanted, after = self._arguments.stream(arguments)

        def begin() -> tuple[Snapshot, "_Part"]:
            at = self._reader.snapshot()
            return at, self._part(wanted, after, _FIRST_ROWS, at)

        at, first = self._read.submit(begin)
        return self._parts(wanted, at, first)

    def erase(self, arguments: Arguments) -> tuple[str, str]:
        """Erases the row of an id, and gives the id and what was erased, as JSON; it is gone for good by then. Raises
        InvalidQuery, UnknownObservation and Unavailable."""
        key = self._arguments.key(arguments)
        return key, self._erase.submit(key)

    def _rows(self, query: PageQuery) -> list[tuple[str, str]]:
        """One row more than the limit, if there are so many, as (key, line)."""
        found: list[tuple[str, str]] = []
        end, size = query.after, query.limit + 1
        while True:
            found_now, end = self._read.submit(partial(self._keyed, query, end, size))
            found += found_now
            if end is None or len(found) > query.limit:
                return found
            size = min(2 * size, MOST_ROWS)

    def _keyed(self, query: PageQuery, end: int | None, size: int) -> tuple[list[tuple[str, str]], int | None]:
        block = self._reader.older(query.wanted, end, size)
        return [(row.id, row.line()) for row in block.rows[: query.limit + 1]], block.end

    def _parts(self, wanted: PredictionFilter, at: Snapshot, part: "_Part") -> Iterator[bytes]:
        while True:
            if part.text:
                yield part.text
            if part.end is None:
                return
            part = self._read.submit(partial(self._part, wanted, part.end, part.next_size, at))

    def _part(self, wanted: PredictionFilter, end: int | None, size: int, at: Snapshot) -> "_Part":
        block = self._reader.older(wanted, end, size, at)
        text = "".join([row.line() + "\n" for row in block.rows]).encode("ascii")
        # Rows may be long, and so many are held at once.
        most = max(1, min(MOST_ROWS, _PART_BYTES * len(block.rows) // len(text))) if text else MOST_ROWS
        return _Part(text, block.end, most)


class _Part(NamedTuple):
    """The lines of a block, the key at its end, and how many rows the next one may have."""

    text: bytes
    end: int | None
    next_size: int


def _outcome(do: Callable[[Item], Result], item: Item) -> Result | ServiceError:
    try:
        return do(item)
    except ServiceError as error:
        return error


def _quoted(url: str | None) -> str:
    return "null" if url is None else f'"{url}"'  # a quoted URL has neither quotes nor backslashes
