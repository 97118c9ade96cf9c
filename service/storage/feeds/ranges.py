"""The ranges of the feeds of one URL. A range is stored before its object is written, so that a later run writes what
an interrupted one did not, under the same name: each row goes into one object.

Several exports may run at once. Only one of them can store the next range, and only one can mark a range as written;
the others end with an error."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from peewee import IntegrityError, fn

from service.storage.feeds.error import FeedError
from service.storage.feeds.settled import Settled
from service.storage.feeds.tables import FEEDS, FeedName, FeedRange, LabelEvent
from service.storage.session import Session
from service.storage.tables import Prediction

MOST_ROWS = 1_000_000


class Range(NamedTuple):
    """The ids `first` to `last` of a feed, and the UTC day on which the range was stored, such as 2026-01-31."""

    feed: FeedName
    first: int
    last: int
    day: str


class FeedRanges:
    """The ranges of a URL, through a session. The methods raise Unavailable."""

    def __init__(self, session: Session, url: str) -> None:
        self._session = session
        self._database = session.database
        self._url = url

    def unwritten(self) -> list[Range]:
        """The stored ranges that are not written, in the order of the feeds and of their ids."""
        query = self._select(FeedRange.feed, FeedRange.first, FeedRange.last, FeedRange.day)
        chosen = query.where(FeedRange.written_at.is_null()).order_by(FeedRange.first)
        rows = self._session.watch(lambda: list(chosen.tuples().execute(self._database)))
        return sorted((Range(*row) for row in rows), key=lambda one: FEEDS.index(one.feed))

    def add_next(self, feed: FeedName, settled: int, most_rows: int = MOST_ROWS) -> Range | None:
        """Stores the next range of a feed: at most `most_rows` rows after the last range, with ids up to `settled`.
        Returns None if there is no such row. Raises FeedError if another export has stored it."""
        try:
            return self._session.run(lambda: self._add_next(feed, settled, most_rows))
        except IntegrityError as error:
            raise self._is_running_twice() from error

    def require_unwritten(self, one: Range) -> None:
        """Raises FeedError if another export has written the range meanwhile. Then rows of it may be deleted, so an
        object that was made since could lack them."""
        query = self._select(FeedRange.written_at).where(FeedRange.feed == one.feed, FeedRange.first == one.first)
        (written_at,) = self._session.watch(lambda: query.tuples().get(self._database))
        if written_at is not None:
            raise self._is_running_twice()

    def mark_written(self, one: Range) -> None:
        """Notes that the object of a range is complete. Raises FeedError if another export has done so."""
        update = FeedRange.update(written_at=datetime.now(UTC)).where(
            FeedRange.url == self._url,
            FeedRange.feed == one.feed,
            FeedRange.first == one.first,
            FeedRange.written_at.is_null(),
        )
        if not self._session.run(lambda: update.execute(self._database)):
            raise self._is_running_twice()

    def written(self) -> Settled:
        """Up to which id each feed is written without a gap, 0 for none."""
        return Settled(*map(self._written, FEEDS))

    def _written(self, feed: FeedName) -> int:
        missing = FeedRange.written_at.is_null()
        query = self._select(fn.MAX(FeedRange.last), fn.MIN(FeedRange.first).filter(missing))
        query = query.where(FeedRange.feed == feed)
        last, gap = self._session.watch(lambda: query.tuples().get(self._database))
        return int(last or 0) if gap is None else int(gap) - 1

    def _add_next(self, feed: FeedName, settled: int, most_rows: int) -> Range | None:
        (last,) = self._select(fn.MAX(FeedRange.last)).where(FeedRange.feed == feed).tuples().get(self._database)
        table: Any = Prediction if feed == "predictions" else LabelEvent
        following = table.select(fn.MIN(table.id)).where(table.id > (last or 0))
        (first_row,) = following.tuples().get(self._database)
        if first_row is None or first_row > settled:
            return None
        # An id is one row at most, so nothing has to be counted.
        one = Range(feed, (last or 0) + 1, min(settled, first_row + most_rows - 1), f"{datetime.now(UTC):%Y-%m-%d}")
        row = {"feed": one.feed, "url": self._url, "first": one.first, "last": one.last, "day": one.day}
        FeedRange.insert(row).execute(self._database)
        return one

    def _select(self, *columns: Any) -> Any:
        return FeedRange.select(*columns).where(FeedRange.url == self._url)

    def _is_running_twice(self) -> FeedError:
        return FeedError(f"Another export to {self._url} is running; let one run end before the next begins.")
