"""The edge: Flask-RESTful set up so that every answer is JSON and every failure, of whatever kind and wherever, is
problem+json (RFC 9457), with a request id and one line in the log."""

import json
import logging
import re
import time
import uuid
from typing import Any

from flask import Flask, Response, g, request
from flask_restful import Api as RestfulApi
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from service.errors import PROBLEM_JSON, BodyTooLarge, ServiceError, UnsupportedBody, problem
from service.logs import event, frames
from service.payload import decode

_log = logging.getLogger("service")

_ECHOED_ID = re.compile(r"[\w.:/@+=\-]{1,128}", re.ASCII)
_LISTED_IDS = 5


class Api(RestfulApi):  # type: ignore[misc]
    """Flask-RESTful with one way out for errors, the same with TESTING on and off."""

    def __init__(self, app: Flask, model_version: str) -> None:
        super().__init__(app, catch_all_404s=True)
        self._model_version = model_version
        self.representations = {"application/json": json_response}
        app.register_error_handler(Exception, answer_error)
        app.before_request(_begin)
        app.after_request(self._end)

    def error_router(self, original_handler: Any, error: Exception) -> Any:
        return original_handler(error)

    def _end(self, response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        response.headers["X-Model-Version"] = self._model_version
        response.headers["X-Content-Type-Options"] = "nosniff"
        event(
            _log,
            logging.INFO,
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=(time.perf_counter() - g.began) * 1000,
            request_id=g.request_id,
            observation_id=_listed(g.get("observation_ids")),
            model_version=self._model_version,
            reason=g.get("reason"),
        )
        return response


def json_body(max_body_bytes: int) -> Any:
    """The request's body as JSON; an object of at most `max_body_bytes`. Raises UnsupportedBody, BodyTooLarge and
    MalformedBody."""
    if request.mimetype != "application/json":
        raise UnsupportedBody("Send the header Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Send JSON in UTF-8.")
    if request.headers.get("Content-Encoding") is not None:
        raise UnsupportedBody("Send the body without a Content-Encoding.")
    body = request.get_data(cache=False)
    payload = decode(body)
    if len(body) > max_body_bytes and not isinstance(payload, list):
        raise BodyTooLarge(f"The body has {len(body)} bytes; an object may have {max_body_bytes}.")
    return payload


def json_response(data: Any, code: int, headers: Any = None) -> Response:
    """A response with a JSON body; NaN and Infinity raise ValueError."""
    response = Response(json.dumps(data, allow_nan=False) + "\n", code, mimetype="application/json")
    response.headers.extend(headers or {})
    return response


def answer_error(error: Exception) -> Response:
    """Any exception as problem+json. One that nobody foresaw is 500, opaque to the caller; the log says where."""
    if isinstance(error, ServiceError):
        g.reason = error.reason
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
        body = problem(error.status, error.title, error.detail, error.slug, g.request_id)
        body |= {"errors": [fault.to_json() for fault in error.faults]} if error.faults else {}
        return _problem_response(body, headers)
    if isinstance(error, HTTPException) and error.code is not None and error.code >= 400:
        title = HTTP_STATUS_CODES.get(error.code, "Error")
        detail = _DETAILS.get(error.code, title + ".")
        slug = title.lower().replace(" ", "-")
        headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
        return _problem_response(problem(error.code, title, detail, slug, g.request_id), headers)
    event(
        _log, logging.ERROR, "error", exception=type(error).__name__, trace=frames(error.__traceback__),
        request_id=g.request_id,
    )  # fmt: skip
    detail = f"The service failed; its log says why under the request id {g.request_id}."
    return _problem_response(problem(500, ServiceError.title, detail, ServiceError.slug, g.request_id), {})


_DETAILS = {
    404: "There is nothing at this URL; predictions are posted to /predict, true classes to /update.",
    405: "This URL does not take this method; the header Allow says which it takes.",
    413: "The body is larger than the service takes.",
}


def _problem_response(body: dict[str, Any], headers: dict[str, str]) -> Response:
    response = Response(json.dumps(body, allow_nan=False) + "\n", body["status"], mimetype=PROBLEM_JSON)
    response.headers.extend(headers)
    return response


def _begin() -> None:
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _ECHOED_ID.fullmatch(given) else uuid.uuid4().hex


def _listed(ids: tuple[int | str, ...] | None) -> str | None:
    """The ids of a request for its log line; of many the first few and their number."""
    if not ids:
        return None
    shown = ",".join(str(id_) for id_ in ids[:_LISTED_IDS])
    return shown if len(ids) <= _LISTED_IDS else f"{shown},...({len(ids)})"
