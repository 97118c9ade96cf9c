"""Exports what is new in the log since the last export to the same destination, in constant memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from serialize.files.formats import FileFormat
from service.bulk.feeds.destination import Destination
from service.bulk.feeds.tables import SCHEMAS, table_of
from service.bulk.files.output import new_place
from service.bulk.files.writers import table_writer
from service.storage.feeds.ranges import MOST_ROWS, FeedRanges, Range
from service.storage.feeds.rows import blocks
from service.storage.feeds.settled import Settled, settled
from service.storage.feeds.tables import FEEDS, FeedName
from service.storage.session import Session

_GROUP_ROWS = 100_000
_GROUP_BYTES = 64 * 1024 * 1024
_PARQUET = FileFormat("parquet")


@dataclass(slots=True)
class Exported:
    """The number of rows and of files that an export wrote, by feed."""

    rows: dict[FeedName, int] = field(default_factory=lambda: dict.fromkeys(FEEDS, 0))
    files: dict[FeedName, int] = field(default_factory=lambda: dict.fromkeys(FEEDS, 0))


class FeedExport:
    """Exports the feeds of a log to one destination. A file has at most `most_rows` rows."""

    def __init__(self, session: Session, destination: Destination, most_rows: int = MOST_ROWS) -> None:
        self._session = session
        self._destination = destination
        self._most_rows = most_rows
        self.ranges = FeedRanges(session, destination.url)

    def run(self, advance: Callable[[float, int], object]) -> Exported:
        """Writes the ranges that an earlier run stored and did not write, and then what is new up to now. It calls
        `advance` with the share that is done and the number of rows that were written. Raises PlaceError, FeedError or
        Unavailable."""
        done = Exported()
        newest = settled(self._session)
        most = sum(newest) - sum(self.ranges.written())
        for one in self._ranges(newest):
            for rows in self._write(one):
                done.rows[one.feed] += rows
                written = sum(done.rows.values())
                advance(written / max(most, written), written)
            done.files[one.feed] += 1
        return done

    def _ranges(self, newest: Settled) -> Iterator[Range]:
        yield from self.ranges.unwritten()
        for feed in FEEDS:
            while one := self.ranges.add_next(feed, getattr(newest, feed), self._most_rows):
                yield one

    def _write(self, one: Range) -> Iterator[int]:
        """Writes the object of a range, and yields the number of rows of each part. Erased rows are absent."""
        self._destination.prepare(one)
        with new_place(self._destination.place_of(one), replace=True) as file:
            with table_writer(file, SCHEMAS[one.feed], _PARQUET) as writer:
                for group in _groups(table_of(one.feed, rows) for rows in blocks(self._session, one)):
                    writer.write_table(group)
                    yield group.num_rows
            self.ranges.require_unwritten(one)
        self.ranges.mark_written(one)


def _groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Joins tables, so that a row group is not small, and is in memory."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= _GROUP_ROWS or sum(one.nbytes for one in waiting) >= _GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
