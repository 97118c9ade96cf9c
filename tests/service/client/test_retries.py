"""The pauses between attempts are random, bounded, and end in time."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.client.retries import Clock, Patience, require_seconds, retry_after_seconds


class Fake:
    """A clock that a sleep moves, and the pauses that it made. `uniform` gives the largest value unless it is told
    another one."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    def clock(self, uniform: object = max) -> Clock:
        return Clock(lambda: self.seconds, self.sleep, uniform)  # type: ignore[arg-type]


def test_pauses_grow_up_to_five_seconds() -> None:
    fake = Fake()
    patience = Patience(1000.0, 5.0, fake.clock())

    assert all(patience.may_repeat(0.0) for _ in range(9))

    assert fake.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])


def test_pauses_are_random_between_zero_and_their_bound() -> None:
    fake, generator = Fake(), random.Random(0)

    for _ in range(200):
        Patience(60.0, 5.0, fake.clock(generator.uniform)).may_repeat(0.0)

    assert 0 <= min(fake.pauses) < 0.01
    assert 0.09 < max(fake.pauses) <= 0.1


def test_all_attempts_end_within_the_patience() -> None:
    fake = Fake()
    patience = Patience(60.0, 5.0, fake.clock())

    while patience.may_repeat(0.0):
        assert patience.timeout() <= max(160.0 - fake.seconds, 0.05)

    assert 59.9 < fake.seconds - 100.0 < 60.0
    assert patience.timeout() > 0


def test_an_attempt_gets_its_timeout_or_what_is_left() -> None:
    fake = Fake()
    patience = Patience(8.0, 5.0, fake.clock())

    first = patience.timeout()
    fake.sleep(6.0)

    assert first == 5.0
    assert patience.timeout() == pytest.approx(2.0)


def test_a_pause_is_not_shorter_than_retry_after_and_comes_before_the_deadline() -> None:
    fake = Fake()
    patience = Patience(60.0, 5.0, fake.clock())

    assert patience.may_repeat(7.0)
    assert fake.pauses == pytest.approx([7.1])
    assert not patience.may_repeat(53.0)
    assert len(fake.pauses) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        (" 120 ", 120),
        ("0", 0),
        (None, 0),
        ("", 0),
        ("-1", 0),
        ("1.5", 0),
        ("soon", 0),
        ("²", 0),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", 0),
    ],
)
def test_retry_after_in_seconds_is_read_and_anything_invalid_is_ignored(value: str | None, seconds: float) -> None:
    assert retry_after_seconds(value, None) == seconds


def test_a_date_that_no_calendar_has_is_ignored() -> None:
    assert retry_after_seconds("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None) == 0
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 99999999999999999999 08:49:37 GMT") == 0


def test_a_date_in_retry_after_counts_from_the_date_of_the_response() -> None:
    told = "Sun, 06 Nov 1994 08:49:37 GMT"

    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:47 GMT", told) == 10
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:27 GMT", told) == 0
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:47 -0000", told) == 0
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < retry_after_seconds(in_a_minute, None) <= 60


@pytest.mark.parametrize(
    ("timeout", "patience"),
    [(0, 1), (-1, 1), (1, 0), (float("inf"), 1), (1, float("inf")), (float("nan"), 1), (1, 1e10)],
)
def test_times_that_are_not_above_zero_are_refused(timeout: float, patience: float) -> None:
    with pytest.raises(ValueError, match="numbers of seconds above 0, up to a year"):
        require_seconds(timeout, patience)
