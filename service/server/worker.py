"""gunicorn's gevent worker with these changes: workers share connections evenly, clients that send or read nothing
delay neither others nor a stop, a worker without descriptors refuses new connections, a stop signal during a fork is
not lost, and an invalid HTTP request gets a problem+json response."""

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

from service.server.connections import Connections, bound_unsent
from service.server.descriptors import SpareDescriptor
from service.server.listener import BalancedServer, lingering_close
from service.server.plain_heads import PlainHeads
from service.server.request_reader import Request, RequestReader
from service.server.response_writer import ResponseWriter, bare_response
from service.server.shares import Shares
from service.telemetry.log_format import event, frames

_STOP_SIGNALS = {signal.SIGTERM}
_TICK_SECONDS = 1.0
_STOPPING_TICK_SECONDS = 0.25
_GRACE_SECONDS = 1.0
_STOPPING_READER_SECONDS = 2.0
_STOPPING_SENDER_SECONDS = 3.0

_log = logging.getLogger("service")

_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Worker(ggevent.GeventWorker):  # type: ignore[misc]
    """Serves each connection in a greenlet. A client may take `body_seconds` to send a body, and may read nothing of a
    response for so long. `slot` is a number that no other live worker has. The worker calls `refused` with the reason
    for each request it refuses itself, and for each connection that it refuses or drops. `shares` is what the workers
    know of each other."""

    body_seconds = 20.0
    slot = 0
    refused: Callable[[str], None] | None = None
    shares: Shares | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._servers: list[BalancedServer] = []
        self._connections = Connections(self._count_refused)
        self._spare: SpareDescriptor | None = None
        self._excess = 0
        self._heads = PlainHeads(self.cfg)
        self._stop_event = Event()

    def run(self) -> None:
        """Serves until the worker must stop, then finishes the open requests within the graceful timeout."""
        self._spare = SpareDescriptor(self._count_refused)
        self._servers = servers = [self._listen(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._stop_event.wait(_TICK_SECONDS)
        for server in servers:
            server.close()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < deadline:
            self.notify()
            if all(server.join(_STOPPING_TICK_SECONDS) for server in servers):
                return
        self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
        for server in servers:
            server.stop(timeout=1)

    def _listen(self, listener: Any) -> BalancedServer:
        listener.setblocking(1)
        bound_unsent(listener)
        secured = {"ssl_context": ssl_context(self.cfg)} if self.cfg.is_ssl else {}
        handle = partial(self.handle, listener.getsockname())
        server = BalancedServer(listener, handle=handle, spawn=Pool(self.worker_connections), **secured)
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.make_room, server.spare = self._connections.make_room, self._spare
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handles a stop signal."""
        super().handle_exit(sig, frame)
        self._stop_event.set()

    def init_signals(self) -> None:
        """Installs the signal handlers, then receives a stop signal that was sent during the fork."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def handle(self, address: Any, client: socket.socket, addr: Any) -> None:
        """Serves one connection until it closes. `address` is the listener's; the listener may be closed already."""
        try:
            self._serve(RequestReader(self.cfg, client, addr, address, self._heads, self.body_seconds), client)
        except errors.NoMoreData as error:
            _log.debug("a client closed its connection during a request: %s", error)
        except OSError as error:
            _log.debug("a connection broke: %s", error.strerror)
        except Exception as error:  # noqa: BLE001 - the client gets an answer to every error
            self.handle_error(None, client, addr, error)
        finally:
            self._connections.forget(client)
            close(client)

    def _serve(self, requests: RequestReader, client: socket.socket) -> None:
        connections = self._connections
        send = partial(connections.send, client)
        while True:
            connections.wait(client)
            try:
                request = requests.read()
            finally:
                connections.end_wait(client)
            if request is None:
                return
            self.nr += 1
            if self.nr >= self.max_requests:
                self.alive = False
            response = ResponseWriter(send, request, closes=not self.alive or self._is_surplus())
            if request.may_send_more:
                connections.expect(client, request.environ["wsgi.input"])
            is_complete = self._respond(request, response)
            connections.forget(client)
            if not is_complete or response.closes:
                if request.may_send_more or not request.closes:
                    lingering_close(client)
                return

    def _respond(self, request: Request, response: ResponseWriter) -> bool:
        """Runs the application. Returns False if it failed after a part of the response was sent."""
        parts: Any = self.wsgi(request.environ, response.start)
        try:
            response.send(parts)
        except OSError:
            raise
        except Exception as error:
            if not response.is_started:
                raise
            event(_log, logging.ERROR, "error", exception=type(error).__name__, trace=frames(error.__traceback__))
            return False
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return True

    def _is_surplus(self) -> bool:
        """Whether a connection that got an answer should close, because this worker has too many."""
        if self._excess <= 0:
            return False
        self._excess -= 1
        return True

    def notify(self) -> None:
        """Sends the heartbeat, at least once a second, and ends connections that wait too long for their client. The
        input of idle ones ends after the keepalive time, or after a grace period while the worker stops, and requests
        that have arrived are still answered. The grace period lets a client that just connected, or just got a
        response, send its next request."""
        super().notify()
        connections = self._connections
        connections.look()
        connections.end_idle(self.cfg.keepalive if self.alive else _GRACE_SECONDS)
        connections.drop_slow(self.body_seconds)
        refused = 0 if self._spare is None else self._spare.report()
        if not self.alive:
            connections.drop_stuck(_STOPPING_READER_SECONDS, _STOPPING_SENDER_SECONDS, "stop")
        for server in self._servers:
            server.keep_room()
        self._share()
        if refused:
            self._excess = 0  # a client that moves now would be refused

    def _share(self) -> None:
        """Publishes the number of connections, and notes how many should move to other workers."""
        if self.shares is None or not self._servers:
            return
        number = sum(server.connections for server in self._servers)
        if self.alive:
            self.shares.publish(self.slot, number)
            self._excess = self.shares.excess(number)
        else:
            self.shares.withdraw(self.slot)

    def _count_refused(self, reason: str) -> None:
        if self.refused is not None:
            self.refused(reason)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answers an invalid HTTP request, or an unexpected error, with problem+json."""
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
        self._count_refused(type(exc).__name__)
        try:
            self._connections.send(client, bare_response(status, request_id))
        except OSError as error:
            _log.debug("answering a refused request: %s", error.strerror)
        lingering_close(client)


def hold_stop_while_forking() -> None:
    """Blocks the stop signal during each fork, until the new worker has its handlers. Otherwise a signal at that moment
    would be lost, and gunicorn would wait for the worker until the graceful timeout."""
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS),
    )
