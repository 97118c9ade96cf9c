"""The numbers of the column id that a run takes, so that it can tell the rows of others by them."""

from contextlib import AbstractContextManager, nullcontext
from multiprocessing.context import SpawnContext
from typing import Any


class RunIds:
    """The newest number before the run, and how many the run took since. Processes that `context` starts share it."""

    def __init__(self, context: SpawnContext | None = None) -> None:
        first = [-1, 0]
        self._numbers: Any = first if context is None else context.RawArray("q", first)
        self._lock: AbstractContextManager[Any] = nullcontext() if context is None else context.Lock()

    def take(self, newest: int, count: int) -> int:
        """Notes that the run takes `count` numbers from now on. `newest` is the newest one that anyone took before.
        Returns how many others took since the run began; it may be too small while a process of the run takes some."""
        with self._lock:
            if self._numbers[0] < 0:
                self._numbers[0] = newest
            of_others = int(newest - self._numbers[0] - self._numbers[1])
            self._numbers[1] += count
        return of_others

    def give_back(self, count: int) -> None:
        """Notes that some of these numbers were not taken."""
        with self._lock:
            self._numbers[1] -= count
