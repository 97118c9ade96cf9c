"""How the development server of `python app.py` speaks HTTP: as gunicorn does for the service, without a name, without
an HTML page, and without a log line beside the service's own, which would hold the query string."""

import logging
import uuid
from http import HTTPStatus
from typing import Any

from werkzeug.serving import WSGIRequestHandler

from service.errors import PROBLEM_JSON, bare_problem
from service.telemetry.log_format import event

_log = logging.getLogger("service")


class RequestHandler(WSGIRequestHandler):
    """One connection to the development server."""

    def send_header(self, keyword: str, value: str) -> None:
        """Sends a header, unless it says what serves."""
        if keyword.lower() != "server":
            super().send_header(keyword, value)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the service writes the request line."""

    def log_error(self, format: str, *args: Any) -> None:
        """Nothing: what is refused here is logged as it is answered."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what is no HTTP as problem+json."""
        status, request_id = HTTPStatus(code), uuid.uuid4().hex
        event(_log, logging.INFO, "refused", status=int(status), request_id=request_id)
        body = bare_problem(status, request_id)
        self.request_version = self.protocol_version  # what the request did not say, or not in a form to be read
        self.send_response(status)
        for name, value in {
            "Content-Type": PROBLEM_JSON,
            "Content-Length": str(len(body)),
            "X-Request-ID": request_id,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Connection": "close",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
