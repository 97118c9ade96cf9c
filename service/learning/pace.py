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
from service.learning.process import LOWEST_PRIORITY

# Predictions are many if so many rows a second were logged since the last look, and for a while after it.
_MANY_ROWS = 20
_LOOK_SECONDS = 0.2
_PACED_SECONDS = 2.0
_PACED_AT_FIRST_SECONDS = 0.3
# A process that works for 2 of 40 ms takes 5 % of one core, and a request meets at most one such slice.
_WORK_SECONDS = 0.002
_STOP_SECONDS = 0.038


class Pace:
    """Waits for a process that leads a session of its own. While predictions are many, and for the first moments, it is
    stopped for 38 of 40 ms, with all that it started, and Linux gives it a processor only when no other session wants
    it. `newest` returns the greatest id of the log, which is read five times a second. On other systems than Linux it
    only waits: only Linux ends a stopped process when its parent ends."""

    def __init__(self, process: "subprocess.Popen[Any]", newest: Callable[[], int]) -> None:
        self._process = process
        self._newest = newest
        self._row: int | None = None
        self._looked_at = float("-inf")
        self._paced_until = time.monotonic() + _PACED_AT_FIRST_SECONDS
        self._is_paced = False

    def wait(self, seconds: float) -> bool:
        """Waits so many seconds. Returns earlier, with True, if the process has ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._look()
            if self._is_paced:
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
        """Finds out whether predictions are many. While the database is away, none are made."""
        now = time.monotonic()
        seconds = now - self._looked_at
        if seconds < _LOOK_SECONDS or sys.platform != "linux":
            return
        self._looked_at = now
        before, self._row = self._row, None
        with suppress(Unavailable):
            self._row = self._newest()
        if before is not None and self._row is not None and self._row - before >= _MANY_ROWS * seconds:
            self._paced_until = now + _PACED_SECONDS
        is_paced = now < self._paced_until
        if is_paced != self._is_paced:
            self._is_paced = is_paced
            with suppress(OSError):  # a kernel without it, or the process has ended
                Path(f"/proc/{self._process.pid}/autogroup").write_text(str(LOWEST_PRIORITY if is_paced else 0))

    def _stop(self) -> None:
        """Stops the process for a moment, unless another might wait for a lock that it holds."""
        if _holds_lock(self._process.pid):
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGSTOP)
            try:
                time.sleep(_STOP_SECONDS)
            finally:
                os.killpg(self._process.pid, signal.SIGCONT)


def _holds_lock(pid: int) -> bool:
    """Whether a process holds the lock of a file, such as that of the writers of a SQLite log."""
    try:  # /proc/locks would make every process wait that locks a file
        return any("FLOCK" in opened.read_text() for opened in Path(f"/proc/{pid}/fdinfo").iterdir())
    except OSError:  # it closed a file just now, or has ended
        return True
