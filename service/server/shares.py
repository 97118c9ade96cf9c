"""How many connections each worker has, in memory that all workers share. A connection stays on its worker while it
lives, so a worker that started late gets its share only if others close some of theirs."""

import mmap
import time

_SLOTS = 512
_STALE_SECONDS = 3.0


class Shares:
    """The numbers of the workers that published one in the last three seconds, by slot. Make it before the workers are
    forked. A worker with a slot of 512 or above has no share."""

    def __init__(self) -> None:
        # Two numbers a slot: when it was published, on the clock that all processes share, and the connections.
        self._numbers = memoryview(mmap.mmap(-1, _SLOTS * 16)).cast("d")

    def publish(self, slot: int, connections: int) -> None:
        """Publishes the number of connections of a worker. Call it at least once a second."""
        if slot < _SLOTS:
            self._numbers[2 * slot + 1] = connections
            self._numbers[2 * slot] = time.monotonic()

    def withdraw(self, slot: int) -> None:
        """Removes a worker that accepts no more connections."""
        if slot < _SLOTS:
            self._numbers[2 * slot] = 0.0

    def excess(self, connections: int) -> int:
        """How many connections a worker has above the mean, or 0 if that is not far more than the others have."""
        oldest = time.monotonic() - _STALE_SECONDS
        live = [self._numbers[2 * slot + 1] for slot in range(_SLOTS) if self._numbers[2 * slot] > oldest]
        mean = sum(live) / max(1, len(live))
        return int(connections - mean) if connections > 1.25 * mean + 4 else 0
