"""A request on a new connection."""

import socket
from contextlib import ExitStack
from enum import Enum
from http.client import HTTPException, HTTPResponse

_TIMEOUT_SECONDS = 3.0
_REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Fate(Enum):
    """What became of a request on a new connection."""

    SERVED = "served"
    REFUSED = "refused, closed without an answer, or answered 503"
    LEFT = "left without an answer"
    BROKEN = "answered in part, or with another status"


def fate(port: int, kept: ExitStack) -> Fate:
    """Connects, asks for /livez, and leaves the connection open until `kept` closes."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
        kept.enter_context(connection)
        connection.sendall(_REQUEST)
        if not connection.recv(1, socket.MSG_PEEK):
            return Fate.REFUSED
        response = HTTPResponse(connection)
        response.begin()
        response.read()
        return {200: Fate.SERVED, 503: Fate.REFUSED}.get(response.status, Fate.BROKEN)
    except TimeoutError:
        return Fate.LEFT
    except OSError:
        return Fate.REFUSED
    except HTTPException:
        return Fate.BROKEN


def is_served(port: int) -> bool:
    """Whether a request on a new connection is answered 200 in time."""
    with ExitStack() as kept:
        return fate(port, kept) is Fate.SERVED
