"""gunicorn's gevent worker, and what it needs to share and to stop as the service promises: new connections are shared
among the workers, idle ones do not hold up a stop, a stop is heard even while a worker is being forked, and what is
refused before the application sees it is answered as problem+json like everything else."""

import logging
import os
import signal
import socket
import uuid
from http import HTTPStatus
from types import TracebackType
from typing import Any

import gevent
from gevent import monkey
from gevent.server import StreamServer
from gunicorn.http import errors, wsgi
from gunicorn.workers import ggevent

from service.errors import PROBLEM_JSON, bare_problem
from service.logs import event, frames

_NativeSocket = monkey.get_original("socket", "socket")
_STOP = {signal.SIGTERM}
_PAUSE_SECONDS = 0.0001
_LONGEST_PAUSE_SECONDS = 0.001

_log = logging.getLogger("service")

_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Worker(ggevent.GeventWorker):  # type: ignore[misc]
    """Serves each connection in a greenlet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: set[socket.socket] = set()

    def run(self) -> None:
        """Serves until the worker is asked to stop, and then what it has in hand."""
        ggevent.StreamServer = FairServer
        wsgi.Response = NamelessResponse
        super().run()

    def init_signals(self) -> None:
        """Listens to signals, and hears a stop that came while it was being forked."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serves one connection until it is closed."""
        current: Any = gevent.getcurrent()
        current.client = client
        super().handle(listener, client, addr)

    def timeout_ctx(self) -> "_Waiting":
        """The context in which a connection waits for its next request."""
        current: Any = gevent.getcurrent()
        return _Waiting(super().timeout_ctx(), self._idle, current.client)

    def notify(self) -> None:
        """Tells the master that the loop runs, once a second. While the worker stops, connections that wait for a
        request get the end of their input instead; what has arrived on them by then is still read and answered."""
        super().notify()
        if not self.alive:
            for client in list(self._idle):
                _end_input(client)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answers a request that is no HTTP, or not of the size and form that are taken."""
        refused = isinstance(exc, errors.ParseException)
        status = _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST if refused else HTTPStatus.INTERNAL_SERVER_ERROR)
        request_id = uuid.uuid4().hex
        event(
            _log,
            logging.INFO if refused else logging.ERROR,
            "refused" if refused else "error",
            status=int(status),
            request_id=request_id,
            reason=type(exc).__name__,
            trace=None if refused else frames(exc.__traceback__),
        )
        _send(client, _problem_response(status, request_id))


def hold_stop_while_forking() -> None:
    """From now on a stop that reaches a process while it forks a worker waits until the worker can hear it; gunicorn
    would lose it, and then wait for that worker in vain until the graceful timeout."""
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _STOP),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP),
    )


class FairServer(StreamServer):
    """A server that, after each connection it accepts, lets the other workers go first: for the longer the more
    connections it has. Left alone, the first worker to wake takes nearly all that come at once."""

    def do_handle(self, *args: Any) -> None:
        super().do_handle(*args)
        pool: Any = self.pool
        connections = pool.size - pool.free_count()
        if connections > 1:
            self.stop_accepting()
            gevent.spawn_later(min(connections * _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS), self._accept_again)

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()


class NamelessResponse(wsgi.Response):  # type: ignore[misc]
    """An answer that does not say what serves it."""

    def default_headers(self) -> list[str]:
        """The status line and the headers of every answer, but for Server, the first of them."""
        lines: list[str] = super().default_headers()
        del lines[1]
        return lines


class _Waiting:
    """gunicorn's timeout for a kept connection, and the set of those that wait meanwhile."""

    __slots__ = ("_client", "_idle", "_timeout")

    def __init__(self, timeout: gevent.Timeout, idle: set[socket.socket], client: socket.socket) -> None:
        self._timeout, self._idle, self._client = timeout, idle, client

    def __enter__(self) -> None:
        self._idle.add(self._client)
        self._timeout.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._idle.discard(self._client)
        return self._timeout.__exit__(kind, error, trace)


def _problem_response(status: HTTPStatus, request_id: str) -> bytes:
    body = bare_problem(status, request_id)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {PROBLEM_JSON}\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\nConnection: close\r\n"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n"
    )
    return head.encode() + body


def _end_input(client: socket.socket) -> None:
    """Ends the input of a connection below gevent, which would drop what has arrived but was not read yet."""
    try:
        with _NativeSocket(fileno=os.dup(client.fileno())) as native:
            native.shutdown(socket.SHUT_RD)
    except OSError as error:
        _log.debug("closing an idle connection: %s", error.strerror)


def _send(client: socket.socket, response: bytes) -> None:
    try:
        client.sendall(response)
    except OSError as error:
        _log.debug("answering a refused request: %s", error.strerror)
