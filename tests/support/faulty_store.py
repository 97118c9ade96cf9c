"""A proxy before an S3 server that lets some requests fail."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal

import requests

# What becomes of a request: the server answers with 500, never, or with half of the content.
Fault = Literal["500", "hang", "half"]
_PASSED_ON = ("content-type", "etag", "last-modified", "content-range", "accept-ranges")


@dataclass
class FaultyStore:
    """A running proxy. `fails` says for the method, the path and the number of a request, from 1 on, how it fails; None
    if it does not. `seen` has the methods and paths of all requests."""

    address: str
    fails: Callable[[str, str, int], Fault | None]
    seen: list[tuple[str, str]] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *given: Any) -> None:
        """A client that is gone is no error of the test."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*given)


@contextmanager
def faulty_store(server: str, fails: Callable[[str, str, int], Fault | None]) -> Iterator[FaultyStore]:
    """Runs a proxy on the loopback interface before the S3 server."""
    is_over = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            running.seen.append((self.command, self.path))
            fault = running.fails(self.command, self.path, len(running.seen))
            if fault == "hang":
                is_over.wait()
                self.close_connection = True
                return
            if fault == "500":
                self._answer(500, {}, b"")
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            found = requests.request(
                self.command,
                server + self.path,
                data=body,
                headers={**headers, "Host": self.headers["Host"]},
                timeout=30,
            )
            kept = {name: value for name, value in found.headers.items() if name.lower() in _PASSED_ON}
            self._answer(found.status_code, kept, found.content, int(found.headers.get("Content-Length", 0)), fault)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the names that the library calls

        def _answer(
            self, status: int, headers: dict[str, str], content: bytes, length: int = 0, fault: Fault | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length if self.command == "HEAD" else len(content)))
            self.end_headers()
            if fault == "half":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing: standard error belongs to the tests."""

    with _Server(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        running = FaultyStore(f"http://127.0.0.1:{http.server_port}", fails)
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield running
        finally:
            is_over.set()
            http.shutdown()
