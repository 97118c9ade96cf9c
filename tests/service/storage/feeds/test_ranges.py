"""The ranges of a feed follow each other without a gap, and each is stored and written by one export."""

import pytest

from service.storage.connection import connect
from service.storage.feeds.error import FeedError
from service.storage.feeds.ranges import FeedRanges, Range
from service.storage.feeds.settled import Settled
from service.storage.session import Session
from tests.support.logged import erase, logged, relabel, write

URL = "s3://bucket/log"


def fill(session: Session, *numbers: int) -> None:
    session.run(lambda: write(session.database, *(logged(number) for number in numbers)))


def places(ranges: list[Range | None]) -> list[tuple[int, int] | None]:
    return [one and (one.first, one.last) for one in ranges]


def test_ranges_are_bounded_follow_each_other_and_end_at_the_settled_id(session: Session) -> None:
    fill(session, *range(8))
    ranges = FeedRanges(session, URL)

    found = [ranges.add_next("predictions", 7, most_rows=3) for _ in range(4)]

    assert places(found) == [(1, 3), (4, 6), (7, 7), None]
    assert places([ranges.add_next("predictions", 8, most_rows=3)]) == [(8, 8)]


def test_a_range_passes_over_erased_ids(session: Session) -> None:
    fill(session, *range(10))
    for number in range(6):
        session.run(lambda number=number: erase(session.database, number))  # type: ignore[misc]

    assert places([FeedRanges(session, URL).add_next("predictions", 10, most_rows=2)]) == [(1, 8)]


def test_feeds_and_urls_are_independent(session: Session) -> None:
    fill(session, 1, 2)
    session.run(lambda: relabel(session.database, 1, "true"))
    ranges, others = FeedRanges(session, URL), FeedRanges(session, "s3://another/log")
    prediction, label = ranges.add_next("predictions", 2), ranges.add_next("labels", 1)
    assert prediction is not None
    assert label is not None

    assert ranges.unwritten() == [prediction, label]
    ranges.mark_written(label)
    assert (ranges.unwritten(), ranges.written()) == ([prediction], Settled(0, 1))
    assert (others.unwritten(), others.written()) == ([], Settled(0, 0))
    assert others.add_next("predictions", 2) == prediction


def test_a_range_that_was_not_written_ends_what_is_written(session: Session) -> None:
    fill(session, *range(6))
    ranges = FeedRanges(session, URL)
    first, _, third = (ranges.add_next("predictions", 6, most_rows=2) for _ in range(3))
    assert first is not None
    assert third is not None
    ranges.mark_written(first)
    ranges.mark_written(third)

    assert ranges.written() == Settled(2, 0)


def test_a_second_export_can_neither_store_nor_write_the_same_range(session: Session, database_url: str) -> None:
    fill(session, 1, 2)
    other = Session(connect(database_url))
    one = FeedRanges(session, URL).add_next("predictions", 1)
    assert one is not None
    FeedRanges(other, URL).require_unwritten(one)
    FeedRanges(other, URL).mark_written(one)
    other.close()

    for step in ("require_unwritten", "mark_written"):
        with pytest.raises(FeedError, match=f"Another export to {URL} is running"):
            getattr(FeedRanges(session, URL), step)(one)
