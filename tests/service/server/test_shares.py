"""A worker with far more connections than the others has an excess, and one with about the mean has none."""

import os
import time

import pytest

from service.server.shares import Shares


def excess(*numbers: int) -> int:
    """What the first worker has above the mean."""
    shares = Shares()
    for slot, number in enumerate(numbers):
        shares.publish(slot, number)
    return shares.excess(numbers[0])


@pytest.mark.parametrize(
    ("numbers", "expected"), [((40, 0), 20), ((0, 40), 0), ((30, 10), 10), ((90, 0, 0), 60), ((1000, 600), 0)]
)
def test_the_excess_is_what_a_worker_has_above_the_mean(numbers: tuple[int, ...], expected: int) -> None:
    assert excess(*numbers) == expected


@pytest.mark.parametrize("numbers", [(8, 8), (11, 5), (4, 0), (36, 28), (40, 24), (100,), (0,), (0, 0)])
def test_steady_connections_stay_where_they_are(numbers: tuple[int, ...]) -> None:
    assert excess(*numbers) == 0


def test_a_worker_that_published_long_ago_or_stopped_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = Shares()
    shares.publish(1, 0)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 4)
    shares.publish(0, 40)
    shares.publish(2, 0)
    shares.withdraw(2)

    assert shares.excess(40) == 0


def test_a_forked_process_publishes_to_the_others() -> None:
    shares = Shares()
    shares.publish(0, 40)
    child = os.fork()
    if child == 0:
        shares.publish(1, 2)
        os._exit(0)
    os.waitpid(child, 0)

    assert shares.excess(40) == 19


def test_a_slot_beyond_the_memory_has_no_share() -> None:
    shares = Shares()
    shares.publish(512, 40)

    assert shares.excess(0) == 0
