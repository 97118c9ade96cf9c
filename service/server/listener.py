"""Accepts connections, balanced between the workers, and closes them without losing data in either direction."""

import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.server import StreamServer

from service.errors import OUT_OF_DESCRIPTORS
from service.server.descriptors import SpareDescriptor

_PAUSE_SECONDS = 0.0001
_MAX_PAUSE_SECONDS = 0.001
_MAX_ACCEPTS = 2048
_SHARE_KEPT_FREE = 20
_ENDED_AT_ONCE = 16
_ROOM_SECONDS = 0.005  # until the connections that were ended have closed
_RETRY_SECONDS = 0.05
_LINGER_SECONDS = 2.0
_LINGER_READ_BYTES = 64 * 1024
_MAX_LINGER_READS = 1024

_log = logging.getLogger("service")


class BalancedServer(StreamServer):
    """A server that pauses after each connection it accepts, so that other workers can accept the next. The more
    connections it has, the longer it pauses. Without pauses, the first worker to wake up takes nearly all of them.

    If few places are left, `make_room(number)` ends some connections and returns how many. If no descriptor is left
    either, new connections are refused with the one in reserve, `spare`."""

    make_room: Callable[[int], int] | None = None
    spare: SpareDescriptor | None = None
    _is_paused = False

    @property
    def connections(self) -> int:
        """The number of connections."""
        pool: Any = self.pool
        return int(pool.size - pool.free_count())

    def keep_room(self, most: int = _MAX_ACCEPTS) -> None:
        """Ends at most so many connections if less than a twentieth of the places is free."""
        pool: Any = self.pool
        missing = max(1, pool.size // _SHARE_KEPT_FREE) - pool.free_count()
        if missing > 0 and self.make_room is not None:
            self.make_room(min(missing, most))

    def do_read(self) -> Any:
        """Accepts a connection, or returns None if there is none to serve."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in self.fatal_errors:
                raise
            _log.debug("accepting a connection: %s", error.strerror)
            is_full = error.errno in OUT_OF_DESCRIPTORS
        if is_full and self.make_room is not None and self.make_room(_ENDED_AT_ONCE):
            self._pause(_ROOM_SECONDS)
        elif not is_full or self.spare is None or not self.spare.refuse(super().do_read):
            self._pause(_RETRY_SECONDS)
        return None

    def do_handle(self, *args: Any) -> None:
        """Starts to serve a connection, then pauses."""
        super().do_handle(*args)
        self.keep_room(most=1)
        connections = self.connections
        if connections > 1:
            self._pause(min(connections * _PAUSE_SECONDS, _MAX_PAUSE_SECONDS))

    def _pause(self, seconds: float) -> None:
        if not self._is_paused and self.started:
            self._is_paused = True
            self.stop_accepting()
            gevent.spawn_later(seconds, self._resume, time.monotonic() + seconds, seconds)

    def close(self) -> None:
        """Accepts the connections in the queue, which would otherwise be reset, and stops listening. The system still
        resets a connection that arrives between the last accept and the close, which are microseconds apart."""
        self.stop_accepting()
        for _ in range(_MAX_ACCEPTS if self.started else 0):
            accepted = None if self.full() else self.do_read()
            if not accepted:
                break
            super().do_handle(*accepted)
        super().close()

    def join(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds for the connections to end. Returns whether all have ended."""
        pool: Any = self.pool
        return bool(pool.join(timeout=timeout))

    def _resume(self, due: float, pause: float) -> None:
        """Ends a pause. If the loop is busy and runs this late, it accepts one connection for each pause it missed."""
        self._is_paused = False
        if self.started:
            self.max_accept = min(1 + int((time.monotonic() - due) / pause), _MAX_ACCEPTS)
            self.start_accepting()


def lingering_close(client: socket.socket) -> None:
    """Ends the output of a connection, then reads and drops what the client still sends, for two seconds at most.
    Closing a socket with unread input sends a TCP reset, and the client may lose the response."""
    try:
        client.shutdown(socket.SHUT_WR)
        with gevent.Timeout(_LINGER_SECONDS, False):  # type: ignore[arg-type] # False: ends the block silently
            for _ in range(_MAX_LINGER_READS):
                if not client.recv(_LINGER_READ_BYTES):
                    return
                gevent.sleep(0)  # lets other greenlets run, even if the client sends without a break
    except OSError as error:
        _log.debug("closing a connection: %s", error.strerror)
