"""Paces what may wait, such as reports on a long log, so that it does not delay predictions."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
from gevent import monkey

# Predictions are many if there were so many batches in so many seconds.
_BUSY_BATCHES = 20
_BUSY_SECONDS = 1.0
_MOST_WAIT_FOR_IDLE = 0.5
_REST_SECONDS = 0.2
_WORK_SECONDS = 0.001
_PAUSE_PER_WORK = 10
_MOST_PAUSE_SECONDS = 0.1

_native_sleep = monkey.get_original("time", "sleep")
_thread = threading.local()  # in a thread that runs a paced job, `pace` is what paces it


class Paced:
    """Runs jobs one at a time with `run`, so that what may wait does not delay predictions. While these are many, a job
    starts when the event loop is idle, `give_way` makes it pause, and after it no other starts for 0.2 s."""

    def __init__(self, run: Callable[[Callable[[], Any]], Any]) -> None:
        self._run = run
        self._turn = threading.Lock()
        self._rests_until = 0.0
        self._works_since = 0.0
        self._predicted: deque[float] = deque(maxlen=_BUSY_BATCHES)

    def note_batch(self) -> None:
        """Notes that a batch of predictions was answered."""
        self._predicted.append(time.monotonic())

    def __call__(self, job: Callable[[], Any]) -> Any:
        """Returns what the job returns, or raises what it raises."""
        with self._turn:
            if self._is_busy():
                time.sleep(max(0.0, self._rests_until - time.monotonic()))
                _wait_until_idle()
            try:
                return self._run(partial(self._work, job))
            finally:
                self._rests_until = time.monotonic() + _REST_SECONDS

    def pause(self) -> None:
        """Pauses the job, if it has worked for a millisecond and predictions are many."""
        worked = time.monotonic() - self._works_since
        if worked >= _WORK_SECONDS and self._is_busy():
            _native_sleep(min(_PAUSE_PER_WORK * worked, _MOST_PAUSE_SECONDS))
            self._works_since = time.monotonic()

    def _work(self, job: Callable[[], Any]) -> Any:
        self._works_since = time.monotonic()
        _thread.pace = self
        try:
            return job()
        finally:
            del _thread.pace

    def _is_busy(self) -> bool:
        is_full = len(self._predicted) == _BUSY_BATCHES
        return is_full and time.monotonic() - self._predicted[0] < _BUSY_SECONDS


def give_way() -> None:
    """Pauses for ten times as long as this thread has worked, if it runs a paced job while predictions are many. A job
    calls it after each step of about a millisecond. Otherwise it would hold the interpreter's lock, and a processor,
    most of the time."""
    pace = getattr(_thread, "pace", None)
    if pace is not None:
        pace.pause()


def _wait_until_idle() -> None:
    """Waits until gevent's event loop, if there is one, has nothing else to do, but not for long."""
    if monkey.is_module_patched("threading"):
        with suppress(gevent.Timeout), gevent.Timeout(_MOST_WAIT_FOR_IDLE):
            gevent.idle()
