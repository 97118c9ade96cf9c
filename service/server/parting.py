"""How a worker parts from a client: what is on its way in either direction still arrives."""

import logging
import os
import socket

import gevent
from gevent import monkey

_NativeSocket = monkey.get_original("socket", "socket")
_HEARD_SECONDS = 2.0
_HEARD_AT_ONCE = 64 * 1024
_MOST_HEARD = 1024

_log = logging.getLogger("service")


def end_input(client: socket.socket) -> None:
    """Ends the input of a connection below gevent, which would drop what has arrived but was not read yet."""
    try:
        with _NativeSocket(fileno=os.dup(client.fileno())) as native:
            native.shutdown(socket.SHUT_RD)
    except OSError as error:
        _log.debug("closing an idle connection: %s", error.strerror)


def hear_out(client: socket.socket) -> None:
    """Ends the output of a connection, and takes for a moment what the client still sends. Were that left unread,
    closing would reset the connection, and a client that is sending would not see its answers."""
    try:
        client.shutdown(socket.SHUT_WR)
        with gevent.Timeout(_HEARD_SECONDS, False):  # type: ignore[arg-type] # says nothing at its end
            for _ in range(_MOST_HEARD):
                if not client.recv(_HEARD_AT_ONCE):
                    return
                gevent.sleep(0)  # others go on, however fast it comes
    except OSError as error:
        _log.debug("closing a connection: %s", error.strerror)
