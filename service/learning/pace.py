"""Paces a process that learns, so that it does not slow the predictions on the same machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.errors import Unavailable
from service.process import LOWEST_PRIORITY

_IS_LINUX = sys.platform == "linux"

_LOOK_SECONDS = 0.2
# Up to so many rows logged in a second, the process works all the time; above, its share shrinks in proportion.
_FREE_ROWS = 100
_PACED_SECONDS = 2.0  # after the last look that found more rows
_PACED_AT_FIRST_SECONDS = 0.3
# A request meets at most one slice of work, and the least share of it is 5 % of one core.
_WORK_SECONDS = 0.002
_LONGEST_STOP_SECONDS = 0.038


class Pace:
    """Waits for a process that leads a session of its own. While predictions are many, the process is stopped between
    slices of 2 ms, with all that it started: the more rows are logged, the longer, up to 38 ms, from 2,000 rows a
    second on and in the first moments. Linux then gives it a processor only when no other session wants it. `newest`
    returns the greatest id of the log, which is read five times a second. On other systems than Linux it only waits:
    only Linux ends a stopped process when its parent ends."""

    def __init__(self, process: "subprocess.Popen[Any]", newest: Callable[[], int]) -> None:
        self._process = process
        self._newest = newest
        self._row: int | None = None
        self._looked_at = float("-inf")
        self._paced_until = time.monotonic() + _PACED_AT_FIRST_SECONDS if _IS_LINUX else float("-inf")
        self._stop_seconds = _LONGEST_STOP_SECONDS
        self._is_last = False  # with the lowest priority

    def wait(self, seconds: float) -> bool:
        """Waits so many seconds. Returns earlier, with True, if the process has ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._look()
            if time.monotonic() < self._paced_until:
                self._stop()
                if self._process.poll() is not None:
                    return True
                time.sleep(_WORK_SECONDS)
            else:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(min(left, _LOOK_SECONDS))
                    return True
        return False

    def _look(self) -> None:
        """Finds out how many predictions are made. While the database is away, none are."""
        now = time.monotonic()
        seconds = now - self._looked_at
        if seconds < _LOOK_SECONDS or not _IS_LINUX:
            return
        self._looked_at = now
        before, self._row = self._row, None
        with suppress(Unavailable):
            self._row = self._newest()
        if before is not None and self._row is not None:
            rows = (self._row - before) / seconds
            if rows > _FREE_ROWS:
                self._paced_until = now + _PACED_SECONDS
                self._stop_seconds = min(_WORK_SECONDS * (rows / _FREE_ROWS - 1), _LONGEST_STOP_SECONDS)
        self._prefer_others(now < self._paced_until and self._stop_seconds == _LONGEST_STOP_SECONDS)

    def _prefer_others(self, is_last: bool) -> None:
        if is_last != self._is_last:
            with suppress(OSError):  # a kernel without it, too many changes in a moment, or the process has ended
                Path(f"/proc/{self._process.pid}/autogroup").write_text(str(LOWEST_PRIORITY if is_last else 0))
                self._is_last = is_last

    def _stop(self) -> None:
        """Stops the process for a moment, unless another might wait for a lock that it holds."""
        if _holds_lock(self._process.pid):
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGSTOP)
            try:
                time.sleep(self._stop_seconds)
            finally:
                os.killpg(self._process.pid, signal.SIGCONT)


def _holds_lock(pid: int) -> bool:
    """Whether a process holds the lock of a file, such as that of the writers of a SQLite log."""
    try:  # /proc/locks would make every process wait that locks a file
        return any("FLOCK" in opened.read_text() for opened in Path(f"/proc/{pid}/fdinfo").iterdir())
    except OSError:  # it closed a file just now, or has ended
        return True
