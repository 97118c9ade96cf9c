"""The OpenAPI 3.1 document that GET /openapi.json answers, made from the artifact's manifest and the operations."""

from collections.abc import Mapping, Sequence
from typing import Any

from serialize.manifest import Manifest
from service.errors import PROBLEM_JSON
from service.web.example_problems import example_problems
from service.web.operations import operations, parameter, response_name, values
from service.web.schemas.forms import TEXT, VERSION, Schema, integer, reference
from service.web.schemas.of_model import schemas

_MEANINGS = {
    400: "The request is not HTTP, or its body is not JSON. The service also refuses duplicate keys, NaN, more than 16 "
    "levels and encodings other than UTF-8.",
    401: "The request has no key, or an unknown one.",
    403: "The administration is closed, or the key does not open it.",
    404: "No prediction or job has this id, no model this version, or nothing is at this URL.",
    405: "The URL does not take this method.",
    408: "The body did not arrive in time.",
    409: "The id belongs to another observation, no built-in data set fits the model, the registry refuses it, a job "
    "runs or has ended, or no worker lives.",
    413: "The body is too large, or its array too long.",
    414: "The URL is too long.",
    415: "The body is not application/json in UTF-8, or has a Content-Encoding.",
    417: "The request has an Expect header other than 100-continue.",
    422: "The JSON of the body, or a query parameter, is invalid; the answer names every fault. Or the model cannot be "
    "trained here; the answer says why.",
    431: "The headers are too large, or too many.",
    500: "The service failed. Its log has the reason under the request id.",
    501: "The request has a Transfer-Encoding other than chunked.",
    503: "Too many requests wait, or the database cannot be reached. Repeat the request with the same id.",
}
_HEADERS = {
    "X-Request-ID": ("The id of the request: the client's, or a new one.", TEXT),
    "X-Model-Version": ("The version of the model.", VERSION),
    "Idempotent-Replayed": ("true if every prediction was stored before.", {"const": "true"}),
    "Location": ("The URL of the job.", {**TEXT, "pattern": "^/admin/jobs/[0-9]+$"}),
    "Link": ("The URL of the next page, with rel=next.", TEXT),
    "Allow": ("The methods that the URL takes.", TEXT),
    "Retry-After": ("Seconds to wait.", integer(1)),
    "WWW-Authenticate": ("How to send a key.", TEXT),
}
_HEADERS_OF_STATUS = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}
_OPTIONAL_HEADERS = ("Idempotent-Replayed", "Link")
_WITHOUT_MODEL = (400, 408, 414, 417, 431, 501)  # the server answers these below the application

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "name": "X-API-Key", "in": "header"},
}
_REQUEST_ID = (
    "An id for the request: 1 to 128 letters, digits and ._:/@+=-. The answer and the log repeat it. Without a valid "
    "one the service makes one."
)
_TRACE = "The trace of the request (W3C Trace Context, version 00), for the log."
_TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_DESCRIPTION = (
    "Scores observations and stores each one before it answers. The true class comes later, under the same id. "
    "Every failure is application/problem+json (RFC 9457). Every path also works with a trailing slash. "
    "The examples have the members and types of the real answers; their figures are made up."
)


def document(
    manifest: Manifest, version: str, example: Mapping[str, Any], max_items: int, *, needs_key: bool
) -> dict[str, Any]:
    """The document as JSON. `version` is the model's, `example` an observation that it can score, `max_items` the most
    that an array may hold; `needs_key` says whether the routes for clients need a key."""
    paths: dict[str, Schema] = {}
    example_id = f"example-{version}"
    for route, operation in operations(manifest, version, example, example_id, needs_key=needs_key).items():
        method, path = route.split()
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.1",
        "info": {"title": f"Prediction service: {manifest.name}", "version": version, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": schemas(manifest, max_items),
            "responses": {
                response_name(status): _failure(status, bodies)
                for status, bodies in example_problems(example_id, max_items).items()
            },
            "headers": {
                name: {"description": description, "required": name not in _OPTIONAL_HEADERS, "schema": schema}
                for name, (description, schema) in _HEADERS.items()
            },
            "parameters": {
                "RequestId": parameter("header", "X-Request-ID", _REQUEST_ID, TEXT, "order-4711"),
                "TraceParent": parameter("header", "traceparent", _TRACE, TEXT, _TRACE_PARENT),
            },
            "securitySchemes": _SECURITY,
        },
    }


def _failure(status: int, bodies: Sequence[Mapping[str, Any]]) -> Schema:
    """The response of a status other than 200, with these bodies as examples."""
    examples = values({body["type"].rpartition(":")[2]: body for body in bodies})
    schema = {"allOf": [reference("Problem"), {"properties": {"status": {"const": status}}}]}
    model = () if status in _WITHOUT_MODEL else ("X-Model-Version",)
    headers = ("X-Request-ID", *model, *_HEADERS_OF_STATUS.get(status, ()))
    return {
        "description": _MEANINGS[status],
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
        "headers": {name: reference(name, "headers") for name in headers},
    }
