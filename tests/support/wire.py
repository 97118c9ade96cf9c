"""Raw requests, as a faulty, slow, disconnected or hostile client sends them."""

import contextlib
import json
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from tests.support.served import Served

POST = b"POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Answered:
    """A response: its status, JSON body and headers, and the seconds until it arrived."""

    status: int
    json: Any
    headers: dict[str, str]
    seconds: float


@contextmanager
def connected(served: Served) -> Iterator[socket.socket]:
    """A connection to the service."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        yield connection


def answer(connection: socket.socket, method: str = "POST") -> Answered:
    """The next response on a connection."""
    began = time.perf_counter()
    with contextlib.closing(HTTPResponse(connection, method=method)) as response:
        response.begin()
        seconds = time.perf_counter() - began
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        status = response.status
    return Answered(status, json.loads(body) if body else None, headers, seconds)


def until_closed(connection: socket.socket) -> bytes:
    """All bytes until the service closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def exchange(served: Served, *parts: bytes, ends: bool = False) -> Answered:
    """Sends the parts and returns the response. `ends` closes the client's output after them."""
    with connected(served) as connection:
        send(connection, parts)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return answer(connection)


def send(connection: socket.socket, parts: Iterable[bytes]) -> None:
    """Sends the parts, or fewer if the service closes the connection."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for part in parts:
            connection.sendall(part)


def with_length(body: bytes, length: object = None) -> bytes:
    """A request for /predict with this body, and its length or another Content-Length."""
    return POST + f"Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def chunked(*chunks: bytes) -> bytes:
    """A request for /predict with its body in chunks."""
    framed = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
