"""gunicorn's gevent worker, and what it needs to share and to stop as the service promises: new connections are shared
among the workers, idle ones do not hold up a stop, a stop is heard even while a worker is being forked, and what is
refused before the application sees it is answered as problem+json like everything else."""

import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from gevent.event import Event
from gevent.pool import Pool
from gunicorn.http import errors
from gunicorn.sock import ssl_context
from gunicorn.util import close
from gunicorn.workers import ggevent

from service.errors import PROBLEM_JSON, bare_problem, reason_phrase
from service.server.listener import BalancedServer, lingering_close, shutdown_read
from service.server.request_reader import HeadCache, Request, RequestReader
from service.server.response_writer import ResponseWriter
from service.telemetry.log_format import event, frames

_STOP = {signal.SIGTERM}
_TICK_SECONDS = 1.0
_LAST_TICK_SECONDS = 0.25
_LAST_CHANCE_SECONDS = 1.0

_log = logging.getLogger("service")

_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Worker(ggevent.GeventWorker):  # type: ignore[misc]
    """Serves each connection in a greenlet, and waits `body_seconds` for the body of a request. `slot` is a number that
    no other living worker has; `refused` is told why a request was refused that the application does not see."""

    body_seconds = 20.0
    slot = 0
    refused: Callable[[str], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: dict[socket.socket, float] = {}
        self._heads = HeadCache()
        self._told_to_stop = Event()

    def run(self) -> None:
        """Serves until the worker is asked to stop, and then what it has in hand."""
        servers = [self._listen(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._told_to_stop.wait(_TICK_SECONDS)
        for server in servers:
            server.close()
        latest = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < latest:
            self.notify()
            if all(server.has_ended(_LAST_TICK_SECONDS) for server in servers):
                return
        self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
        for server in servers:
            server.stop(timeout=1)

    def _listen(self, listener: Any) -> BalancedServer:
        listener.setblocking(1)
        secured = {"ssl_context": ssl_context(self.cfg)} if self.cfg.is_ssl else {}
        handle = partial(self.handle, listener.getsockname())
        server = BalancedServer(listener, handle=handle, spawn=Pool(self.worker_connections), **secured)
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Hears the signal to stop."""
        super().handle_exit(sig, frame)
        self._told_to_stop.set()

    def init_signals(self) -> None:
        """Listens to signals, and hears a stop that came while it was being forked."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)

    def handle(self, address: Any, client: socket.socket, addr: Any) -> None:
        """Serves one connection until it is closed. `address` is that of the listener, which may be closed by now."""
        try:
            self._serve(RequestReader(self.cfg, client, addr, address, self._heads, self.body_seconds), client)
        except errors.NoMoreData as error:
            _log.debug("a connection was closed within a request: %s", error)
        except OSError as error:
            _log.debug("a connection broke: %s", error.strerror)
        except Exception as error:  # noqa: BLE001 - whatever the parser or the application raised, it is answered
            self.handle_error(None, client, addr, error)
        finally:
            close(client)

    def _serve(self, requests: RequestReader, client: socket.socket) -> None:
        while True:
            self._idle[client] = time.monotonic()
            try:
                request = requests.read()
            finally:
                del self._idle[client]
            if request is None:
                return
            self.nr += 1
            if self.nr >= self.max_requests:
                self.alive = False
            answer = ResponseWriter(client, request, closes=not self.alive)
            if not self._answer(request, answer) or answer.closes:
                if request.may_bring_more or not request.closes:
                    lingering_close(client)
                return

    def _answer(self, request: Request, answer: ResponseWriter) -> bool:
        """Has the application answer; False where it failed when the answer had begun, which cannot be mended."""
        parts: Any = self.wsgi(request.environ, answer.start)
        try:
            answer.send(parts)
        except OSError:
            raise
        except Exception as error:
            if not answer.is_begun:
                raise
            event(_log, logging.ERROR, "error", exception=type(error).__name__, trace=frames(error.__traceback__))
            return False
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return True

    def notify(self) -> None:
        """Tells the master that the loop runs, once a second or more often. A connection that has waited too long for
        a request, or for a moment while the worker stops, gets the end of its input; what has arrived on it by then is
        still read and answered. The moment is for who has just connected, or been answered, and sends now."""
        super().notify()
        latest = time.monotonic() - (self.cfg.keepalive if self.alive else _LAST_CHANCE_SECONDS)
        for client in [client for client, since in self._idle.items() if since <= latest]:
            shutdown_read(client)

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
        if self.refused is not None:
            self.refused(type(exc).__name__)
        _send(client, _problem_response(status, request_id))


def hold_stop_while_forking() -> None:
    """From now on a stop that reaches a process while it forks a worker waits until the worker can hear it; gunicorn
    would lose it, and then wait for that worker in vain until the graceful timeout."""
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _STOP),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP),
    )


def _problem_response(status: HTTPStatus, request_id: str) -> bytes:
    body = bare_problem(status, request_id)
    head = (
        f"HTTP/1.1 {status.value} {reason_phrase(status)}\r\nContent-Type: {PROBLEM_JSON}\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\nConnection: close\r\n"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n"
    )
    return head.encode() + body


def _send(client: socket.socket, response: bytes) -> None:
    try:
        client.sendall(response)
    except OSError as error:
        _log.debug("answering a refused request: %s", error.strerror)
    lingering_close(client)
