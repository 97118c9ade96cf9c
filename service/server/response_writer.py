"""Writes the response of a WSGI application to a connection: head and first part of the body in one send."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from service.errors import bare_problem, reason_phrase
from service.server.request_reader import Request

_WITHOUT_BODY = ("204", "304")
_LINE_BREAKS = re.compile(r"[\r\n\0]")


def bare_response(status: HTTPStatus, request_id: str, more: Mapping[str, str] | None = None) -> bytes:
    """The whole response to a request that does not reach the application, with `more` headers."""
    headers, body = bare_problem(status, request_id)
    lines = [f"{name}: {value}" for name, value in {**headers, **(more or {})}.items()]
    return "\r\n".join([f"HTTP/1.1 {status.value} {reason_phrase(status)}", *lines, "\r\n"]).encode() + body


class ResponseWriter:
    """Writes the response to one request. `send` sends all of its bytes to the client."""

    __slots__ = ("_chunked", "_has_no_body", "_head", "_left", "_request", "_send_all", "closes", "is_started")

    def __init__(self, send: Callable[[bytes], None], request: Request, closes: bool) -> None:
        self._send_all = send
        self._request = request
        self._head = b""
        self._left: int | None = None
        self._chunked = self._has_no_body = False
        self.closes = closes or request.closes
        self.is_started = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's start_response. Raises ValueError for a header that contains a line break."""
        if exc_info is not None and self.is_started:
            raise exc_info[1]
        self.closes = self.closes or self._request.is_broken
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        if _LINE_BREAKS.search("".join(lines)):
            raise ValueError("A response header contains a line break.")
        self._frame(status, headers, lines)
        connection = "close" if self.closes else "keep-alive"
        lines += [f"Date: {_date(int(time.time()))}", f"Connection: {connection}", "\r\n"]
        self._head = "\r\n".join(lines).encode("latin-1")
        return self.write

    def _frame(self, status: str, headers: list[tuple[str, str]], lines: list[str]) -> None:
        """Frames the body by its length, by chunks, or by the end of the connection."""
        self._left = next((int(value) for name, value in headers if name.lower() == "content-length"), None)
        self._has_no_body = self._request.is_head or status.startswith(_WITHOUT_BODY)
        has_no_length = self._left is None and not self._has_no_body
        self._chunked = has_no_length and self._request.is_http_1_1
        if self._chunked:
            lines.append("Transfer-Encoding: chunked")
        elif has_no_length:
            self.closes = True

    def send(self, parts: Iterable[bytes]) -> None:
        """Sends the whole body, part by part. The connection closes if it is shorter than its Content-Length."""
        for part in parts:
            self.write(part)
        self._send(b"0\r\n\r\n" if self._chunked else b"")
        if self._left and not self._has_no_body:
            self.closes = True

    def write(self, part: bytes) -> None:
        """Sends a part of the body, with the head before the first part. Bytes past the Content-Length are dropped."""
        if self._has_no_body or not part:
            return
        if self._chunked:
            part = b"%X\r\n%b\r\n" % (len(part), part)
        elif self._left is not None:
            part = part[: self._left]
            self._left -= len(part)
        self._send(part)

    def _send(self, data: bytes) -> None:
        data = self._head + data
        self._head = b""
        if data:
            self.is_started = True
            self._send_all(data)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
