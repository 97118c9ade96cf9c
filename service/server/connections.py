"""The connections of a worker that wait for their client: for a request, for the rest of a body, or for the client to
read a response. It ends those that wait too long, and those that must make room for others."""

import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gevent import monkey

from service.telemetry.log_format import event

MIN_BYTES_PER_SECOND = 1024
_ROOM_SECONDS = 1.0
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing drops what is unsent, which the system would keep for minutes
_TCP_BYTES = struct.Struct("=QQ")  # of struct tcp_info in linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received
_TCP_BYTES_OFFSET = 120
_MAX_UNSENT_BYTES = 128 * 1024

_NativeSocket = monkey.get_original("socket", "socket")
_log = logging.getLogger("service")


def bound_unsent(listener: socket.socket) -> None:
    """Makes a send to a client of this listener block when the system holds 128 KiB that it cannot send yet. Otherwise
    it takes up to 4 MB from the responses to each client that reads nothing."""
    with contextlib.suppress(OSError, AttributeError):  # a Unix socket; a system without the option
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MAX_UNSENT_BYTES)


class Body(Protocol):
    """The body of a request that may not have arrived yet."""

    def expire(self) -> None:
        """Ends a read that waits for the client."""


@dataclass(slots=True)
class _Progress:
    """The bytes that a client took or sent until it was last seen, when they changed, and the same for a period."""

    bytes: int
    moved: float
    began: float
    bytes_then: int

    def see(self, number: int, now: float) -> "_Progress":
        """The progress with the present number of bytes."""
        if number != self.bytes:
            self.bytes, self.moved = number, now
        return self


class Connections:
    """`dropped` is called with the reason for each connection that is dropped."""

    def __init__(self, dropped: Callable[[str], None]) -> None:
        self._dropped = dropped
        self._idle: dict[socket.socket, float] = {}  # since when, so the oldest is first
        self._sending: dict[socket.socket, int] = {}  # the bytes of the present send that the system took
        self._bodies: dict[socket.socket, Body] = {}
        self._taken: dict[socket.socket, _Progress] = {}
        self._arrived: dict[socket.socket, _Progress] = {}

    def wait(self, client: socket.socket) -> None:
        """Marks a connection as idle: it waits for a request."""
        self._idle[client] = time.monotonic()

    def end_wait(self, client: socket.socket) -> None:
        """Marks a connection as not idle."""
        self._idle.pop(client, None)

    def expect(self, client: socket.socket, body: Body) -> None:
        """Watches a body that may not have arrived yet, until `forget`."""
        self._bodies[client] = body

    def forget(self, client: socket.socket) -> None:
        """Ends the watch of a body."""
        self._bodies.pop(client, None)

    def send(self, client: socket.socket, data: bytes) -> None:
        """Sends all the data. Raises OSError if the connection breaks or is dropped."""
        sending = self._sending
        sending[client] = 0
        try:
            sent = client.send(data)
            while sent < len(data):
                sending[client] = sent
                sent += client.send(memoryview(data)[sent:])
        finally:
            sending.pop(client, None)

    def look(self) -> None:
        """Notes what each client took and sent since the last look. Call it at least once a second."""
        now = time.monotonic()
        self._taken = _seen(self._taken, {c: _tcp_bytes(c)[0] or sent for c, sent in self._sending.items()}, now)
        self._arrived = _seen(self._arrived, {c: _tcp_bytes(c)[1] for c in self._bodies}, now)

    def end_idle(self, seconds: float) -> None:
        """Ends connections that are idle for so long. Requests that have arrived are still answered."""
        cutoff = time.monotonic() - seconds
        for client in [client for client, since in self._idle.items() if since <= cutoff]:
            self._end(client)

    def drop_slow(self, seconds: float) -> None:
        """Drops clients that took no byte of a response for so long, or less than the minimum rate over that time."""
        now = time.monotonic()
        for client, progress in list(self._taken.items()):
            if now - progress.moved >= seconds:
                self._drop(client, "slow-reader")
            elif now - progress.began >= seconds:
                if 0 <= progress.bytes - progress.bytes_then < MIN_BYTES_PER_SECOND * seconds:
                    self._drop(client, "slow-reader")
                progress.began, progress.bytes_then = now, progress.bytes

    def drop_stuck(self, reader_seconds: float, sender_seconds: float, reason: str) -> None:
        """Drops clients that took no byte of a response, and answers those that sent none of a body, for so long."""
        now = time.monotonic()
        for client, progress in list(self._taken.items()):
            if now - progress.moved >= reader_seconds:
                self._drop(client, reason)
        for client, progress in list(self._arrived.items()):
            if now - progress.moved >= sender_seconds:
                self._expire(client)

    def make_room(self, number: int) -> int:
        """Ends at most `number` connections that wait for their client for more than a second, and returns how many:
        first idle ones, then clients that take nothing, then clients that send nothing, each the longest first."""
        before = time.monotonic() - _ROOM_SECONDS
        idle = [client for client, since in self._idle.items() if since < before][:number]
        for client in idle:
            self._end(client)
        readers = _stuck(self._taken, before)[: number - len(idle)]
        for client in readers:
            self._drop(client, "connection-limit")
        senders = _stuck(self._arrived, before)[: number - len(idle) - len(readers)]
        for client in senders:
            self._expire(client)
        return len(idle) + len(readers) + len(senders)

    def _end(self, client: socket.socket) -> None:
        """Ends the input of an idle connection. A request that has arrived is still answered."""
        del self._idle[client]
        _shut(client, socket.SHUT_RD)

    def _expire(self, client: socket.socket) -> None:
        del self._arrived[client]
        body = self._bodies.pop(client, None)
        if body is not None:
            body.expire()

    def _drop(self, client: socket.socket, reason: str) -> None:
        """Ends a connection. The greenlet that sends gets an OSError."""
        del self._taken[client]
        if self._sending.pop(client, None) is None:
            return
        _shut(client, socket.SHUT_RDWR)
        event(_log, logging.INFO, "dropped", reason=reason)
        self._dropped(reason)


def _seen(
    before: dict[socket.socket, _Progress], numbers: dict[socket.socket, int], now: float
) -> dict[socket.socket, _Progress]:
    return {
        client: before[client].see(number, now) if client in before else _Progress(number, now, now, number)
        for client, number in numbers.items()
    }


def _stuck(progresses: dict[socket.socket, _Progress], before: float) -> list[socket.socket]:
    found = [(progress.moved, client) for client, progress in progresses.items() if progress.moved < before]
    return [client for _, client in sorted(found, key=lambda pair: pair[0])]


def _tcp_bytes(client: socket.socket) -> tuple[int, int]:
    """The bytes that a client has taken, and that it has sent; 0 and 0 if the system does not tell. What the system
    has accepted for sending says less: it accepts more only when a third of its buffer is free."""
    try:
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_BYTES_OFFSET + _TCP_BYTES.size)
        taken, arrived = _TCP_BYTES.unpack_from(info, _TCP_BYTES_OFFSET)
    except (OSError, AttributeError, struct.error):  # a Unix socket; not Linux; an old kernel
        return 0, 0
    return taken, arrived


def _shut(client: socket.socket, how: int) -> None:
    """Shuts a connection down. It bypasses gevent, which would drop input that has arrived but is unread, and needs no
    descriptor."""
    try:
        native = _NativeSocket(fileno=client.fileno())
    except OSError as error:
        _log.debug("a connection is already closed: %s", error.strerror)
        return
    try:
        if how == socket.SHUT_RDWR:
            native.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        native.shutdown(how)
    except OSError as error:
        _log.debug("ending a connection: %s", error.strerror)
    finally:
        native.detach()
