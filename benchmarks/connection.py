"""One kept HTTP/1.1 connection, with one request at a time on it."""

import asyncio
import re
import time
from typing import Protocol

_ANSWERED_ID = re.compile(rb'"observation_id": ?(\d+)')


class Owner(Protocol):
    """Who sends on connections and is told what becomes of it."""

    def answered(self, connection: "Connection", latency: float) -> None:
        """The right id was answered, so many seconds after the moment at which the request was due."""

    def failed(self, connection: "Connection", fault: str) -> None:
        """The answer was no 2xx or another id's; the connection is still good."""

    def lost(self, connection: "Connection", fault: str | None) -> None:
        """The server closed the connection, and with a fault also owed an answer."""


class Connection(asyncio.Protocol):
    """Sends a request when it is asked to and tells its owner of the answer, which has a Content-Length."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._id: int | None = None
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, id_: int, due: float) -> None:
        """Sends a request that was due at a moment of time.perf_counter; its answer must be that of the id."""
        assert self._transport is not None
        self._id, self._due, self._received = id_, due, b""
        self._transport.write(request)

    def close(self) -> None:
        """Closes the connection."""
        assert self._transport is not None
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Tells the owner once the answer is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        latency, fault = time.perf_counter() - self._due, _fault(head, body, self._id)
        self._id = None
        if fault is None:
            self._owner.answered(self, latency)
        else:
            self._owner.failed(self, fault)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the owner."""
        self._owner.lost(self, None if self._id is None else "a connection was closed without an answer")


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def _fault(head: bytes, body: bytes, id_: int | None) -> str | None:
    if head[9:10] != b"2":
        return f"the status is {head[9:12].decode()}"
    answered = _ANSWERED_ID.search(body)
    return None if answered and int(answered[1]) == id_ else f"the answer to {id_} is that of another id"
