"""How a worker takes connections in turn with the others, and how it ends them: what is on its way in either direction
still arrives."""

import logging
import os
import socket
import time
from typing import Any

import gevent
from gevent import monkey
from gevent.server import StreamServer

_PAUSE_SECONDS = 0.0001
_LONGEST_PAUSE_SECONDS = 0.001
_MOST_AT_ONCE = 2048


class BalancedServer(StreamServer):
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


_NativeSocket = monkey.get_original("socket", "socket")
_HEARD_SECONDS = 2.0
_HEARD_AT_ONCE = 64 * 1024
_MOST_HEARD = 1024

_log = logging.getLogger("service")


def shutdown_read(client: socket.socket) -> None:
    """Ends the input of a connection below gevent, which would drop what has arrived but was not read yet."""
    try:
        with _NativeSocket(fileno=os.dup(client.fileno())) as native:
            native.shutdown(socket.SHUT_RD)
    except OSError as error:
        _log.debug("closing an idle connection: %s", error.strerror)


def lingering_close(client: socket.socket) -> None:
    """Ends the output of a connection, and takes for a moment what the client still sends. Were that left unread,
    closing would reset the connection, and a client that is sending would not see its answers."""
    try:
        client.shutdown(socket.SHUT_WR)
        with gevent.Timeout(_HEARD_SECONDS, False):  # type: ignore[arg-type] # says nothing at its end
            for _ in range(_MOST_HEARD):
                if not client.recv(_HEARD_AT_ONCE):
                    return
                gevent.sleep(0)  # others go on, however fast it comes
    except OSError as error:
        _log.debug("closing a connection: %s", error.strerror)
