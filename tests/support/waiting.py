"""Waiting in tests: for a condition, with a deadline that a slow machine keeps too."""

import time
from collections.abc import Callable

WAIT_SECONDS = 60.0


def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Returns as soon as the condition holds; other threads and greenlets go on meanwhile. Raises AssertionError when
    it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {seconds:g} s"
        time.sleep(0.005)
