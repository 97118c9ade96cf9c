"""File descriptors: the limit of the process, and one in reserve, with which a worker that has no other left can still
refuse new connections."""

import contextlib
import logging
import os
import resource
import socket
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gevent import monkey

from service.errors import OUT_OF_DESCRIPTORS
from service.server.response_writer import bare_response
from service.telemetry.log_format import event

_MAX_CONNECTIONS = 2000
_RESERVE = 64  # for the database, the log, the metrics and the libraries
_USEFUL = 4096
_UNREAD_BYTES = 64 * 1024
_RETRY_AFTER = {"Retry-After": "1"}

_native_close = monkey.get_original("os", "close")  # gevent's closes in the next turn of the loop
_NativeSocket = monkey.get_original("socket", "socket")
_log = logging.getLogger("service")


def connection_limit() -> int:
    """Raises the soft limit of descriptors as far as useful and allowed, and returns how many connections a worker may
    have: 2000, or fewer if the limit is lower. A reserve is left for everything else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _USEFUL:
        soft = _USEFUL if hard == resource.RLIM_INFINITY else min(_USEFUL, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(_MAX_CONNECTIONS, soft - _RESERVE))


class SpareDescriptor:
    """One descriptor in reserve. `refused` is called with the reason for each connection that is refused."""

    def __init__(self, refused: Callable[[str], None]) -> None:
        self._refused = refused
        self._number: int | None = None
        self._count = 0
        self._take()

    def refuse(self, accept: Callable[[], Any]) -> bool:
        """Accepts a connection with the descriptor in reserve, answers it 503, and closes it. Returns False if there
        is no descriptor for it."""
        if self._number is not None:
            _native_close(self._number)
            self._number = None
        try:
            accepted = accept()
            if accepted:
                _answer_unavailable(accepted[0])
                self._count += 1
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                _log.debug("refusing a connection: %s", error.strerror)
            return error.errno not in OUT_OF_DESCRIPTORS
        finally:
            self._take()
        return True

    def report(self) -> int:
        """Logs, counts and returns the connections refused since the last report, and takes the reserve again if it was
        lost. Call it once a second: a line for each connection would fill the log."""
        self._take()
        count, self._count = self._count, 0
        if count:
            event(_log, logging.WARNING, "no-descriptors", refused=count)
        for _ in range(count):
            self._refused("no-descriptors")
        return count

    def _take(self) -> None:
        if self._number is None:
            try:
                self._number = os.open(os.devnull, os.O_RDONLY)
            except OSError as error:
                _log.debug("no descriptor for the reserve: %s", error.strerror)


def _answer_unavailable(client: socket.socket) -> None:
    """Sends a 503 without waiting, and closes. Unread input is read first, because closing would then reset the
    connection, and the client would lose the response."""
    response = bare_response(HTTPStatus.SERVICE_UNAVAILABLE, uuid.uuid4().hex, _RETRY_AFTER)
    with _NativeSocket(fileno=client.detach()) as native:  # gevent would close it later
        native.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            native.recv(_UNREAD_BYTES)
        native.send(response)
        native.shutdown(socket.SHUT_WR)
