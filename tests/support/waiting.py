"""Waiting for a condition in tests, with a deadline that is long enough for a slow machine."""

import time
from collections.abc import Callable

WAIT_SECONDS = 60.0


def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Returns as soon as the condition is true; other threads and greenlets go on meanwhile. Raises AssertionError
    after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not true within {seconds:g} s"
        time.sleep(0.005)
