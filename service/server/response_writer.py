"""Writes the response of a WSGI application to a connection: head and first part of the body in one send."""

import re
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from service.server.request_reader import Request

_WITHOUT_BODY = ("204", "304")
_LINE_BREAKS = re.compile(r"[\r\n\0]")


class ResponseWriter:
    """The answer to one request on its way out."""

    __slots__ = ("_chunked", "_client", "_head", "_is_bare", "_left", "_request", "closes", "is_begun")

    def __init__(self, client: Any, request: Request, closes: bool) -> None:
        self._client = client
        self._request = request
        self._head = b""
        self._left: int | None = None
        self._chunked = self._is_bare = False
        self.closes = closes or request.closes
        self.is_begun = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's start_response. Raises ValueError for a header with a line break in it."""
        if exc_info is not None and self.is_begun:
            raise exc_info[1]
        self.closes = self.closes or self._request.is_lost
        lines = [f"HTTP/1.1 {status}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if _LINE_BREAKS.search("".join(lines)):
            raise ValueError("A header of the answer holds a line break.")
        self._frame(status, headers, lines)
        lines += [
            f"Date: {_date(int(time.time()))}",
            "Connection: close" if self.closes else "Connection: keep-alive",
            "\r\n",
        ]
        self._head = "\r\n".join(lines).encode("latin-1")
        return self.write

    def _frame(self, status: str, headers: list[tuple[str, str]], lines: list[str]) -> None:
        """How the end of the body is told: by its length, by chunks, or by closing."""
        self._left = next((int(value) for name, value in headers if name.lower() == "content-length"), None)
        self._is_bare = self._request.is_head or status.startswith(_WITHOUT_BODY)
        self._chunked = False
        if self._left is None and not self._is_bare:
            self._chunked = self._request.speaks_1_1
            if self._chunked:
                lines.append("Transfer-Encoding: chunked")
            else:
                self.closes = True

    def send(self, parts: Iterable[bytes]) -> None:
        """Sends the whole answer from the parts of its body."""
        for part in parts:
            self.write(part)
        self._put(b"0\r\n\r\n" if self._chunked else b"")
        if self._left and not self._is_bare:
            self.closes = True

    def write(self, part: bytes) -> None:
        """Sends a part of the body, and before the first one the head."""
        if self._is_bare or not part:
            return
        if self._chunked:
            part = b"%X\r\n%b\r\n" % (len(part), part)
        elif self._left is not None:
            part = part[: self._left]
            self._left -= len(part)
        self._put(part)

    def _put(self, data: bytes) -> None:
        data = self._head + data
        self._head = b""
        if data:
            self.is_begun = True
            self._client.sendall(data)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
