"""How a worker takes connections: in turn with the others, as many as have come, and every one that has before it
stops."""

import time
from typing import Any

import gevent
from gevent.server import StreamServer

_PAUSE_SECONDS = 0.0001
_LONGEST_PAUSE_SECONDS = 0.001
_MOST_AT_ONCE = 2048


class FairServer(StreamServer):
    """A server that, after each connection it accepts, lets the other workers go first: for the longer the more
    connections it has. Left alone, the first worker to wake takes nearly all that come at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pauses = False

    def do_handle(self, *args: Any) -> None:
        """Serves a connection, and pauses."""
        super().do_handle(*args)
        pool: Any = self.pool
        connections = pool.size - pool.free_count()
        if connections > 1 and not self._pauses and self.started:
            self._pauses = True
            self.stop_accepting()
            pause = min(connections * _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
            gevent.spawn_later(pause, self._accept_again, time.monotonic() + pause, pause)

    def close(self) -> None:
        """Takes what waits to be accepted, which would else be cut off unanswered, and stops listening."""
        for _ in range(_MOST_AT_ONCE if self.started else 0):
            taken = None if self.full() else self.do_read()
            if not taken:
                break
            super().do_handle(*taken)
        super().close()

    def has_ended(self, timeout: float) -> bool:
        """Waits so many seconds at most for the last of its connections to end; whether it has."""
        pool: Any = self.pool
        return bool(pool.join(timeout=timeout))

    def _accept_again(self, due: float, pause: float) -> None:
        """Ends a pause. A loop that comes back to it late is busy, and takes at once those who came meanwhile."""
        self._pauses = False
        if self.started:
            self.max_accept = min(1 + int((time.monotonic() - due) / pause), _MOST_AT_ONCE)
            self.start_accepting()
