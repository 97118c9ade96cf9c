"""Responses: JSON for results, problem+json (RFC 9457) for every failure."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask, Response, request
from flask_restful import Api
from werkzeug.exceptions import HTTPException

from service.batching import Aside, run_here
from service.errors import (
    LISTED_FAULTS,
    OUT_OF_DESCRIPTORS,
    PROBLEM_JSON,
    Fault,
    ServiceError,
    Unavailable,
    problem,
    reason_phrase,
)
from service.telemetry.log_format import event, frames
from service.web.access_log import RequestInfo

_log = logging.getLogger("service")

_ITEMS_AT_ONCE = 64
# More than many faults need room in the budget; without it, few are listed.
_FEW_FAULTS, _MANY_FAULTS = 20, 100
_FAULT_BYTES = 1024  # of one fault, with its text and its part of the response

_encode = json.JSONEncoder(allow_nan=False).encode


def json_api(app: Flask) -> Api:
    """Flask-RESTful for an application, with JSON as the only representation."""
    api = Api(app)
    api.representations = {"application/json": json_response}
    return api


def json_response(data: Any, code: int, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body; NaN and Infinity raise ValueError."""
    return Response(_encode(data) + "\n", code, headers, content_type="application/json")


def encoded(data: Any) -> bytes:
    """A result as the bytes of a JSON body; NaN and Infinity raise ValueError."""
    return (_encode_list(data) if isinstance(data, list) else _encode(data)).encode() + b"\n"


def _encode_list(data: list[Any]) -> str:
    """A list as JSON. A long one is encoded in parts, because no other thread runs during one call of the encoder."""
    if len(data) <= _ITEMS_AT_ONCE:
        return _encode(data)
    starts = range(0, len(data), _ITEMS_AT_ONCE)
    return "[" + ", ".join(_encode(data[start : start + _ITEMS_AT_ONCE])[1:-1] for start in starts) + "]"


class FinalResponse(Response):
    """A final 200 with a JSON body. It skips the work that Werkzeug does for responses that may still change."""

    def __init__(self, body: bytes, *headers: tuple[str, str]) -> None:
        self._body = (body,)
        self._headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", self._headers)
        return self._body if environ["REQUEST_METHOD"] != "HEAD" else ()


def answer_error(error: Exception, aside: Aside = run_here) -> Response:
    """Any exception as problem+json. An unexpected one becomes a 500 without details; the log has its traceback. A long
    list of faults is made `aside`."""
    if isinstance(error, ServiceError):
        return refusal(error, request.environ, aside)
    if isinstance(error, OSError) and error.errno in OUT_OF_DESCRIPTORS:
        return refusal(
            Unavailable("The service cannot open a file now; repeat.", reason="no-descriptors"), request.environ
        )
    info = RequestInfo.of(request.environ)
    if isinstance(error, HTTPException) and error.code is not None and error.code >= 400:
        return _answer_http_error(error, error.code, info)
    event(
        _log, logging.ERROR, "error", exception=type(error).__name__, trace=frames(error.__traceback__),
        request_id=info.request_id,
    )  # fmt: skip
    detail = f"Internal error. The service log has the cause under the request id {info.request_id}."
    body = problem(500, ServiceError.title, detail, ServiceError.slug, info.request_id)
    return _problem_response(_encode(body), 500, {})


def refusal(error: ServiceError, environ: dict[str, Any], aside: Aside = run_here) -> Response:
    """The response to the refused request of a WSGI environment. Sets the reason for the log line."""
    info = RequestInfo.of(environ)
    info.reason = error.reason
    body = problem(error.status, error.title, error.detail, error.slug, info.request_id)
    text = _listing(body, error.faults, info, aside) if error.faults else _encode(body)
    return _problem_response(text, error.status, dict(error.headers))


def _listing(body: dict[str, Any], faults: Sequence[Fault], info: RequestInfo, aside: Aside) -> str:
    """The problem with its faults: not many more bytes than the request has, and few if there is no memory."""
    if len(faults) > _MANY_FAULTS and info.held().try_answer(_FAULT_BYTES * min(len(faults), LISTED_FAULTS)):
        with suppress(Unavailable):
            return aside(partial(_with_faults, body, faults[:LISTED_FAULTS]))  # type: ignore[no-any-return]
    return _with_faults(body, faults[: _FEW_FAULTS if len(faults) > _MANY_FAULTS else _MANY_FAULTS])


def _with_faults(body: dict[str, Any], faults: Sequence[Fault]) -> str:
    errors = _encode_list([fault.to_json() for fault in faults])
    return f'{_encode(body)[:-1]}, "errors": {errors}}}'


DETAILS = {
    404: "Unknown URL. GET / has the main URLs.",
    405: "Method not allowed for this URL. The Allow header lists the allowed methods.",
    413: "The body is larger than the limit of the service.",
}


def _answer_http_error(error: HTTPException, status: int, info: RequestInfo) -> Response:
    title = reason_phrase(status)
    info.reason = title.lower().replace(" ", "-")
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    body = problem(status, title, DETAILS.get(status, title + "."), info.reason, info.request_id)
    return _problem_response(_encode(body), status, headers)


def _problem_response(text: str, status: int, headers: dict[str, str]) -> Response:
    return Response(text + "\n", status, headers, content_type=PROBLEM_JSON)
