"""The OpenAPI 3.1 document that GET /openapi.json answers, made from the artifact's manifest and the table of
operations."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from serialize.manifest import Manifest
from service.errors import PROBLEM_JSON, problem
from service.operations import Key, Operation, operations
from service.schemas import TEXT, VERSION, Schema, reference, schemas
from service.score_schemas import score_schemas

# The server itself answers these, without the application, and most of them before it knows the route.
_ANY = (400, 405, 414, 417, 431, 500, 501)
_BODY = (400, 408, 413, 415, 422)
_KEYS: Mapping[Key | None, tuple[int, ...]] = {None: (), "api": (401,), "admin": (401, 403)}

_MEANINGS = {
    400: "The request is not HTTP, or its body is not JSON. The service also refuses duplicate keys, NaN, more than 16 "
    "levels and encodings other than UTF-8.",
    401: "The request has no key, or an unknown one.",
    403: "The administration is closed, or the key does not open it.",
    404: "No prediction has this id, or nothing is at this URL.",
    405: "The URL does not take this method.",
    408: "The body did not arrive in time.",
    409: "The id belongs to another observation, or no built-in data set fits the model.",
    413: "The body is too large, or its array too long.",
    414: "The URL is too long.",
    415: "The body is not application/json in UTF-8, or has a Content-Encoding.",
    417: "The request has an Expect header other than 100-continue.",
    422: "The JSON of the body, or a query parameter, is invalid. The answer names every fault.",
    431: "The headers are too large, or too many.",
    500: "The service failed. Its log has the reason under the request id.",
    501: "The request has a Transfer-Encoding other than chunked.",
    503: "Too many requests wait, or the database cannot be reached. Repeat the request with the same id.",
}
_HEADERS = {
    "X-Request-ID": ("The id of the request: the client's, or a new one.", TEXT),
    "X-Model-Version": ("The version of the model.", VERSION),
    "Idempotent-Replayed": ("true if every prediction was stored before.", {"const": "true"}),
    "Link": ("The URL of the next page, with rel=next.", TEXT),
    "Allow": ("The methods that the URL takes.", TEXT),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("How to send a key.", TEXT),
}
_HEADERS_OF_STATUS = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}
_OPTIONAL_HEADERS = ("Idempotent-Replayed", "Link")
_WITHOUT_MODEL = (400, 408, 414, 417, 431, 501)  # the server answers these below the application

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "name": "X-API-Key", "in": "header"},
}
_PARAMETERS = {
    "RequestId": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id for the request: 1 to 128 letters, digits and ._:/@+=-. The answer and the log repeat "
        "it. Without a valid one the service makes one.",
        "schema": TEXT,
    },
    "TraceParent": {
        "name": "traceparent",
        "in": "header",
        "description": "The trace of the request (W3C Trace Context, version 00), for the log.",
        "schema": TEXT,
    },
}
_DESCRIPTION = (
    "Scores observations and stores each one before it answers. The true class comes later, under the same id. "
    "Every failure is application/problem+json (RFC 9457). Every path also works with a trailing slash."
)


def document(
    manifest: Manifest, version: str, example: Mapping[str, Any], max_items: int, *, needs_key: bool
) -> dict[str, Any]:
    """The document as JSON. `version` is the model's, `example` an observation that it can score, `max_items` the most
    that an array may hold; `needs_key` says whether the routes for clients need a key."""
    listed = operations(manifest, example, f"example-{version}")
    paths: dict[str, Schema] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, needs_key)
    statuses = sorted({status for operation in listed for status in _refusals(operation)})
    return {
        "openapi": "3.1.1",
        "info": {"title": f"Prediction service: {manifest.name}", "version": version, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": {**schemas(manifest, max_items), **score_schemas(manifest)},
            "responses": {_name(status): _problem_response(status) for status in statuses},
            "headers": {
                name: {"description": description, "required": name not in _OPTIONAL_HEADERS, "schema": schema}
                for name, (description, schema) in _HEADERS.items()
            },
            "parameters": _PARAMETERS,
            "securitySchemes": _SECURITY,
        },
    }


def _operation(operation: Operation, needs_key: bool) -> Schema:
    refusals = {str(status): _reference("responses", _name(status)) for status in _refusals(operation)}
    described = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [*(_reference("parameters", name) for name in _PARAMETERS), *operation.parameters],
        "responses": {"200": _answer(operation), **refusals},
        "security": _security(operation.key, needs_key),
    }
    return {**described, "requestBody": _body(operation)} if operation.body else described


def _refusals(operation: Operation) -> list[int]:
    body = _BODY if operation.body else ()
    query = (422,) if operation.parameters else ()
    return sorted({*_ANY, *_KEYS[operation.key], *body, *query, *operation.refusals})


def _security(key: Key | None, needs_key: bool) -> list[dict[str, list[str]]]:
    """The two ways to send a key; the empty one says that none is needed."""
    ways: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY] if key else []
    return ways if key == "admin" or (key and needs_key) else [{}, *ways]


def _body(operation: Operation) -> Schema:
    media: Schema = {"schema": reference(operation.body or "")}
    if operation.examples:
        media["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
    return {"required": operation.body_required, "content": {"application/json": media}}


def _answer(operation: Operation) -> Schema:
    content = {operation.media: {"schema": reference(operation.answer)}}
    if operation.line:
        content["application/x-ndjson"] = {"schema": reference(operation.line)}
    answer = {
        "description": operation.summary,
        "content": content,
        "headers": _headers("X-Request-ID", "X-Model-Version", *operation.headers),
    }
    links = {name: {"operationId": target, "requestBody": body} for name, (target, body) in operation.links.items()}
    return {**answer, "links": links} if links else answer


def _problem_response(status: int) -> Schema:
    model = () if status in _WITHOUT_MODEL else ("X-Model-Version",)
    title = HTTPStatus(status).phrase
    example = problem(status, title, _MEANINGS[status], title.lower().replace(" ", "-"), "0")
    schema = {"allOf": [reference("Problem"), {"properties": {"status": {"const": status}}}]}
    return {
        "description": _MEANINGS[status],
        "content": {PROBLEM_JSON: {"schema": schema, "example": example}},
        "headers": _headers("X-Request-ID", *model, *_HEADERS_OF_STATUS.get(status, ())),
    }


def _headers(*names: str) -> Schema:
    return {name: _reference("headers", name) for name in names}


def _reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _name(status: int) -> str:
    """The component name of a status: `NotFound`."""
    return "".join(word.capitalize() for word in HTTPStatus(status).phrase.replace("-", " ").split())
