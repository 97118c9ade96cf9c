"""One kept HTTP/1.1 connection, with one request at a time on it, that never waits."""

import re
import socket
import time

_ANSWERED_ID = re.compile(rb'"observation_id": ?(\d+)')
_RECEIVED_BYTES = 65536


class Connection:
    """Sends a request when it is asked to; its answer, which has a Content-Length, is taken as it comes in."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError where the server does not take the connection."""
        self.socket = socket.create_connection((host, port))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_waiting = False
        self.is_over = False  # the last answer said that the server closes the connection
        self._received = b""
        self._id = 0
        self._due = 0.0

    def ask(self, request: bytes, id_: int, due: float) -> None:
        """Sends a request that was due at a moment of time.perf_counter; its answer must be that of the id. Raises
        OSError where it cannot be sent at once."""
        self._id, self._due, self._received, self.is_waiting = id_, due, b"", True
        if self.socket.send(request) < len(request):
            raise BlockingIOError("the server does not read")

    def answered(self) -> float | str | None:
        """To be called when there is something to receive: the seconds from the moment that was due to a right answer,
        what is wrong with the answer, or None while it is not whole. Raises ConnectionError at the end of the input."""
        data = self.socket.recv(_RECEIVED_BYTES)
        if not data:
            raise ConnectionResetError("a connection was closed without an answer")
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return None
        self.is_waiting = False
        self.is_over = b"\r\nconnection: close" in head.lower()
        latency = time.perf_counter() - self._due
        return _fault(head, body, self._id) or latency


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def _fault(head: bytes, body: bytes, id_: int) -> str | None:
    if head[9:10] != b"2":
        return f"the status is {head[9:12].decode()}"
    answered = _ANSWERED_ID.search(body)
    return None if answered and int(answered[1]) == id_ else f"the answer to {id_} is that of another id"
