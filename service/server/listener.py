"""Accepts connections, balanced between the workers, and closes them without losing data in either direction."""

import logging
import os
import socket
import time
from typing import Any

import gevent
from gevent import monkey
from gevent.server import StreamServer

_PAUSE_SECONDS = 0.0001
_MAX_PAUSE_SECONDS = 0.001
_MAX_ACCEPTS = 2048
_LINGER_SECONDS = 2.0
_LINGER_READ_BYTES = 64 * 1024
_MAX_LINGER_READS = 1024

_NativeSocket = monkey.get_original("socket", "socket")
_log = logging.getLogger("service")


class BalancedServer(StreamServer):
    """A server that pauses after each connection it accepts, so that other workers can accept the next. The more
    connections it has, the longer it pauses. Without pauses, the first worker to wake up takes nearly all of them."""

    _is_paused = False

    def do_handle(self, *args: Any) -> None:
        """Starts to serve a connection, then pauses."""
        super().do_handle(*args)
        pool: Any = self.pool
        connections = pool.size - pool.free_count()
        if connections > 1 and not self._is_paused and self.started:
            self._is_paused = True
            self.stop_accepting()
            pause = min(connections * _PAUSE_SECONDS, _MAX_PAUSE_SECONDS)
            gevent.spawn_later(pause, self._resume, time.monotonic() + pause, pause)

    def close(self) -> None:
        """Accepts the connections in the queue, which would otherwise be reset, and stops listening."""
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


def shutdown_read(client: socket.socket) -> None:
    """Ends the input of a connection. It bypasses gevent, which would drop input that has arrived but is unread."""
    try:
        with _NativeSocket(fileno=os.dup(client.fileno())) as native:
            native.shutdown(socket.SHUT_RD)
    except OSError as error:
        _log.debug("closing an idle connection: %s", error.strerror)


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
