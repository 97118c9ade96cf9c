"""A server in place of the service that answers as a test says: with errors, late, incompletely, or not at all."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Event, Thread
from typing import Any


@dataclass(frozen=True)
class Canned:
    """A response. A body of bytes is sent as it is, any other as JSON. `sends` is how much of it is sent before the
    connection is closed: "all", "half" of the body, or "nothing". A late one never comes: the connection
    is closed when the test ends."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sends: str = "all"
    is_late: bool = False


@dataclass
class StandIn:
    """A running server, and the requests that it got: their method, path, JSON body and headers."""

    url: str
    requests: list[tuple[str, str, Any, Mapping[str, str]]] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        """The JSON bodies of the requests."""
        return [body for _, _, body, _ in self.requests]


@contextmanager
def stand_in(*answers: Canned | Callable[[Any], Canned], tls: SSLContext | None = None) -> Iterator[StandIn]:
    """Runs a server on the loopback interface that gives these answers in order, and repeats the last one. An answer
    may be a function of the JSON body of the request. With `tls` the server speaks https."""
    is_over = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(sent) if sent else None
            running.requests.append((self.command, self.path, body, dict(self.headers)))
            answer = answers[min(len(running.requests), len(answers)) - 1]
            self.give(answer(body) if callable(answer) else answer)

        def give(self, answer: Canned) -> None:
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            if answer.is_late:
                is_over.wait()
            self.close_connection = answer.sends != "all" or answer.is_late
            if answer.sends == "nothing" or answer.is_late:
                return
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if answer.sends == "half" else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        running = StandIn(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield running
        finally:
            is_over.set()
            server.shutdown()
            thread.join()
