"""A web server with TLS that gives files, also in ranges, as the servers of files do."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@contextmanager
def web_server(
    certificate: Path, files: Mapping[str, bytes], *, gives_parts: bool = True, breaks_off: bool = False
) -> Iterator[str]:
    """The URL of a server on the loopback interface with these files by path, such as `/a.csv`, until the block ends.
    The file `certificate` holds the certificate of 127.0.0.1 and its key. Unless it `gives_parts`, the server answers
    each request with the whole file; if it `breaks_off`, with half of it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = files.get(self.path)
            if content is None:
                self._answer(404, {}, b"")
                return
            headers = {
                "ETag": f'"{hash(content)}"',
                "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT",
                "Accept-Ranges": "bytes",
            }
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if wanted is None or not gives_parts:
                self._answer(200, headers, content)
                return
            first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self._answer(206, headers, content[first : last + 1])

        do_HEAD = do_GET  # noqa: N815 - the name that the library calls

        def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if breaks_off else content)
                self.close_connection = self.close_connection or breaks_off

        def log_message(self, *_: object) -> None:
            """Nothing: standard error belongs to the tests."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.socket = context.wrap_socket(http.socket, server_side=True)
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
