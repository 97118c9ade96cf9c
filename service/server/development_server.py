"""HTTP in the development server of `python app.py`, with the same headers, errors and log lines as under gunicorn."""

import logging
import uuid
from http import HTTPStatus
from typing import Any

from werkzeug.serving import WSGIRequestHandler

from service.errors import bare_problem
from service.telemetry.log_format import event

_log = logging.getLogger("service")


class RequestHandler(WSGIRequestHandler):
    """One connection to the development server."""

    def send_header(self, keyword: str, value: str) -> None:
        """Sends a header, except Server."""
        if keyword.lower() != "server":
            super().send_header(keyword, value)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Does nothing: the application logs each request. werkzeug's line would contain the query string."""

    def log_error(self, format: str, *args: Any) -> None:
        """Does nothing: `send_error` logs the error."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers an invalid HTTP request with problem+json."""
        status, request_id = HTTPStatus(code), uuid.uuid4().hex
        event(_log, logging.INFO, "refused", status=int(status), request_id=request_id)
        headers, body = bare_problem(status, request_id)
        self.request_version = self.protocol_version  # the request may have none, or an invalid one
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
