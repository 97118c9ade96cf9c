"""When a request is sent again: how long it may take in all, and the pauses between its attempts."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The request timed out, there were too many, or the service or what stands before it is not available. The service
# itself answers 408 and 503, and is safe to ask again: it answers a known id with the stored row.
REPEATED_STATUSES = frozenset({408, 429, 502, 503, 504})

_FIRST_SECONDS, _LONGEST_SECONDS = 0.1, 5.0
_MOST_DOUBLINGS = 10
_YEAR_SECONDS = 366 * 86400.0  # the system takes no timeouts of centuries
_LEAST_SECONDS = 0.05  # less is not enough for another attempt


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance: seconds from any start, a pause of some seconds, and a random number from an interval."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform


_CLOCK = Clock()


class Patience:
    """The time that one request has, from now on: `seconds` in all, and `timeout` seconds for one attempt."""

    def __init__(self, seconds: float, timeout: float, clock: Clock = _CLOCK) -> None:
        self._deadline = clock.now() + seconds
        self._timeout = timeout
        self._clock = clock
        self._pauses = 0

    def timeout(self) -> float:
        """The seconds that the next attempt may take; more than 0."""
        return min(self._timeout, max(self._remaining(), _LEAST_SECONDS))

    def may_repeat(self, retry_after: float) -> bool:
        """Pauses before the next attempt and returns True, or returns False at once if no time is left for one.

        A pause is random between 0 and a bound that doubles each time, up to 5 s, so that many clients do not return at
        once ("full jitter"). It follows the `retry_after` seconds that the service asks for, and leaves at least half
        of the remaining time for the attempt."""
        remaining = self._remaining() - retry_after
        if remaining < _LEAST_SECONDS:
            return False
        longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2**self._pauses)
        self._pauses = min(self._pauses + 1, _MOST_DOUBLINGS)
        self._clock.sleep(retry_after + min(self._clock.uniform(0, longest), remaining / 2))
        return True

    def _remaining(self) -> float:
        return self._deadline - self._clock.now()


def retry_after_seconds(value: str | None, date: str | None) -> float:
    """The seconds that a Retry-After header asks to wait, given in seconds or as an HTTP date; 0 if it is missing or
    invalid. A date is compared with the Date header of the response, because the clocks may differ."""
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max((parsedate_to_datetime(text) - now).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def require_seconds(timeout: float, patience: float) -> None:
    """Raises ValueError unless both are above 0 and at most a year."""
    if not (0 < timeout <= _YEAR_SECONDS and 0 < patience <= _YEAR_SECONDS):
        raise ValueError("timeout and patience are numbers of seconds above 0, up to a year.")
