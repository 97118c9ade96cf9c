"""A small HTTP server for tests whose answers are bytes, so that they may also be wrong or never end."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

Reply = Callable[[socket.socket], None]


@dataclass
class Replies:
    """A running server: its address, and the first line of each request so far."""

    address: str
    requests: list[str] = field(default_factory=list)


def send(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> Reply:
    """An answer. Its `length` may be another than that of the body."""
    named = {"ETag": '"1"', "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT", "Connection": "close"}
    given = [f"{name}: {value}" for name, value in named.items()] + list(headers)
    given.append(f"Content-Length: {len(body) if length is None else length}")
    head = "\r\n".join([f"HTTP/1.1 {status}", *given]) + "\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + body)


@contextmanager
def replies(reply: Reply, certificate: Path | None = None) -> Iterator[Replies]:
    """A server that answers each request with `reply`, and then closes the connection, until the block ends. With a
    certificate it speaks TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if certificate is None else "https"
        server = Replies(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        threading.Thread(target=_accept, args=(listener, context, server, reply), daemon=True).start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext | None, server: Replies, reply: Reply) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, context, server, reply), daemon=True).start()


def _answer(plain: socket.socket, context: ssl.SSLContext | None, server: Replies, reply: Reply) -> None:
    with suppress(OSError), plain:  # the client may have gone
        connection = plain if context is None else context.wrap_socket(plain, server_side=True)
        with connection.makefile("rb") as reader:
            head = [line.decode() for line in takewhile(lambda line: line.strip(), reader)]
            lengths = [int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:")]
            reader.read(sum(lengths))
        if not head:
            return
        server.requests.append(head[0].rstrip())
        reply(connection)
        connection.close()
