"""Counters, gauges and histograms in memory that outlives their process. To count is what every request pays for, so
that it is a few assignments, and a lock that is only contended where threads count the same thing."""

import struct
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

Lock = AbstractContextManager[Any]
MakeLock = Callable[[], Lock]

CELL_BYTES = 8

_packed = struct.Struct("d").pack


class Cell(NamedTuple):
    """Where a number is kept, and what it was."""

    buffer: Any
    place: slice
    value: float


class Counter:
    """A number that grows."""

    __slots__ = ("_buffer", "_lock", "_place", "_total")

    def __init__(self, cell: Cell, lock: Lock) -> None:
        self._buffer, self._place, self._total = cell
        self._lock = lock

    def add(self, amount: float = 1) -> None:
        """Adds to it."""
        with self._lock:
            self._total += amount
            self._buffer[self._place] = _packed(self._total)


class Gauge:
    """A number that is set."""

    __slots__ = ("_buffer", "_place")

    def __init__(self, cell: Cell) -> None:
        self._buffer, self._place, _ = cell

    def set(self, value: float) -> None:
        """Replaces it."""
        self._buffer[self._place] = _packed(value)


class Histogram:
    """How many numbers fell under each bound, and their sum. `cells` are those of the buckets in order, the last for
    what is above every bound, and then that of the sum."""

    __slots__ = ("_bounds", "_buckets", "_buffers", "_lock", "_places", "_sum", "_sum_buffer", "_sum_place")

    def __init__(self, bounds: Sequence[float], cells: Sequence[Cell], lock: Lock) -> None:
        *buckets, total = cells
        self._bounds = bounds
        self._buffers = [cell.buffer for cell in buckets]
        self._places = [cell.place for cell in buckets]
        self._buckets = [cell.value for cell in buckets]
        self._sum_buffer, self._sum_place, self._sum = total
        self._lock = lock

    def observe(self, value: float) -> None:
        """Takes a number in."""
        i = bisect_left(self._bounds, value)
        with self._lock:
            self._buckets[i] = count = self._buckets[i] + 1
            self._buffers[i][self._places[i]] = _packed(count)
            self._sum = total = self._sum + value
            self._sum_buffer[self._sum_place] = _packed(total)
