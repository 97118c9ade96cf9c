"""The API's own description, GET /openapi.json: an OpenAPI 3.1 document made from the artifact's manifest and the
entries of `operations`, once, when the service starts."""

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import openapi_pydantic as openapi

from serialize.manifest import Manifest
from service.errors import PROBLEM_JSON, problem
from service.web.log_schemas import log_schemas
from service.web.operations import Key, Operation
from service.web.schemas import reference, schemas
from service.web.score_schemas import score_schemas

# What any request may get, most of it before a route is looked for.
_ANY = (400, 405, 414, 417, 431, 500, 501)
_KEYS: Mapping[Key | None, tuple[int, ...]] = {None: (), "api": (401,), "admin": (401, 403)}

_MEANINGS = {
    400: "The request is not HTTP, or its body is not JSON: duplicate keys, NaN, more than 16 levels and any other "
    "encoding than UTF-8 count as that.",
    401: "A key is needed, and none, or an unknown one, was sent.",
    403: "The administration is closed, or the key does not open it.",
    404: "No prediction has this id, or there is nothing at this URL.",
    405: "The URL does not take this method.",
    408: "The body did not arrive in time.",
    409: "The id belongs to another observation, or no built-in data set fits the model.",
    413: "The body is larger, or the array longer, than is taken.",
    414: "The URL is longer than is taken.",
    415: "The body is not sent as application/json in UTF-8, or has a Content-Encoding.",
    417: "An Expect header that is not 100-continue.",
    422: "The body is JSON, but not what is asked for, or a query parameter is not; every fault is named.",
    431: "The headers are larger, or more, than is taken.",
    500: "The service failed; its log says why under the request id.",
    501: "A Transfer-Encoding other than chunked.",
    503: "Not now: too many requests wait, or the database cannot be reached. Repeat with the same id.",
}

_HEADERS = {
    "X-Request-ID": ("The id of the request, echoed or made.", {"type": "string"}),
    "X-Model-Version": ("The version of the model.", {"type": "string", "pattern": "^[0-9a-f]{12}$"}),
    "Idempotent-Replayed": ("true where every prediction was there before.", {"const": "true"}),
    "Link": ("The URL of the next page, with rel=next.", {"type": "string"}),
    "Allow": ("The methods that the URL takes.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("How a key is sent.", {"type": "string"}),
}
_HEADERS_OF_STATUS = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}
_OPTIONAL_HEADERS = ("Idempotent-Replayed", "Link")
# Answered by the server below the application, which knows no model.
_BELOW = (400, 408, 414, 417, 431, 501)

_OF_ALL = ("RequestId", "TraceParent")

_SECURITY = {
    "bearer": openapi.SecurityScheme(type="http", scheme="bearer"),
    "apiKey": openapi.SecurityScheme.model_validate({"type": "apiKey", "name": "X-API-Key", "in": "header"}),
}

_DESCRIPTION = (
    "Scores observations and stores each before it is answered; the true class comes back later under the same id. "
    "Every failure is application/problem+json (RFC 9457). Trailing slashes are accepted everywhere."
)


def document(
    manifest: Manifest, version: str, operations: Iterable[Operation], max_items: int, needed: Collection[Key]
) -> dict[str, Any]:
    """The document as JSON. `version` is the model's, `max_items` the most that an array may hold, `needed` names the
    kinds of keys without which an operation that takes one is refused."""
    listed = tuple(operations)
    paths: dict[str, openapi.PathItem] = {}
    for operation in listed:
        setattr(paths.setdefault(operation.path, openapi.PathItem()), operation.method, _operation(operation, needed))
    statuses = sorted({status for operation in listed for status in _refusals(operation)})
    made = openapi.OpenAPI(
        openapi="3.1.1",
        info=openapi.Info(title=f"Prediction service: {manifest.name}", version=version, description=_DESCRIPTION),
        paths=paths,
        components=openapi.Components(
            responses={_name(status): _problem_response(status) for status in statuses},
            headers={name: _header(name) for name in _HEADERS},
            parameters={"RequestId": _request_id(), "TraceParent": _trace_parent()},
            securitySchemes=dict(_SECURITY),
        ),
    ).model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    # As they are: the library's own schema class would round 64-bit limits to floats.
    made["components"]["schemas"] = {**schemas(manifest, max_items), **score_schemas(manifest), **log_schemas()}
    return made


def _operation(operation: Operation, needed: Collection[Key]) -> openapi.Operation:
    responses: dict[str, Any] = {"200": _answer(operation)}
    responses |= {str(status): _reference("responses", _name(status)) for status in _refusals(operation)}
    return openapi.Operation(
        operationId=operation.id,
        summary=operation.summary,
        parameters=[
            *(_reference("parameters", name) for name in _OF_ALL),
            *(_query(operation, name) for name in operation.parameters),
        ],
        requestBody=_body(operation) if operation.body else None,
        responses=responses,
        security=_security(operation, needed),
    )


def _refusals(operation: Operation) -> list[int]:
    return sorted({*_ANY, *operation.refusals, *_KEYS[operation.key]})


def _security(operation: Operation, needed: Collection[Key]) -> list[dict[str, list[str]]]:
    """One of the two ways to send a key; optional, or of no use at all, where none is needed."""
    if operation.key is None:
        return [{}]
    ways: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY]
    return ways if operation.key in needed else [{}, *ways]


def _body(operation: Operation) -> openapi.RequestBody:
    examples = {name: openapi.Example(value=value) for name, value in operation.examples.items()}
    needed = not operation.may_be_empty
    return openapi.RequestBody(required=needed, content={"application/json": _media(operation.body or "", examples)})


def _answer(operation: Operation) -> openapi.Response:
    links: dict[str, openapi.Link | openapi.Reference] = {
        name: openapi.Link(operationId=target, requestBody=body) for name, (target, body) in operation.next.items()
    }
    line = {"application/x-ndjson": _media(operation.line)} if operation.line else {}
    return openapi.Response(
        description=operation.summary,
        content={operation.media: _media(operation.answer), **line},
        headers=_headers("X-Request-ID", "X-Model-Version", *operation.headers),
        links=links or None,
    )


def _problem_response(status: int) -> openapi.Response:
    names = ("X-Request-ID", *(() if status in _BELOW else ("X-Model-Version",)), *_HEADERS_OF_STATUS.get(status, ()))
    schema = {"allOf": [reference("Problem"), {"properties": {"status": {"const": status}}}]}
    title = HTTPStatus(status).phrase
    example = problem(status, title, _MEANINGS[status], title.lower().replace(" ", "-"), "0")
    return openapi.Response(
        description=_MEANINGS[status],
        content={PROBLEM_JSON: openapi.MediaType.model_validate({"schema": schema, "example": example})},
        headers=_headers(*names),
    )


def _media(name: str, examples: Mapping[str, openapi.Example] | None = None) -> openapi.MediaType:
    media = openapi.MediaType.model_validate({"schema": reference(name)})
    return media.model_copy(update={"examples": examples}) if examples else media


def _headers(*names: str) -> dict[str, Any]:
    return {name: _reference("headers", name) for name in names}


def _header(name: str) -> openapi.Header:
    description, schema = _HEADERS[name]
    required = name not in _OPTIONAL_HEADERS
    return openapi.Header.model_validate({"description": description, "required": required, "schema": schema})


def _request_id() -> openapi.Parameter:
    return openapi.Parameter.model_validate(
        {
            "name": "X-Request-ID",
            "in": "header",
            "description": "An id for the request, repeated in its answer and its log line; one is made where none, or "
            "none of 1 to 128 letters, digits and ._:/@+=- is sent.",
            "schema": {"type": "string"},
        }
    )


def _trace_parent() -> openapi.Parameter:
    return openapi.Parameter.model_validate(
        {
            "name": "traceparent",
            "in": "header",
            "description": "The trace that the request is part of (W3C Trace Context, version 00), for its line in the "
            "log.",
            "schema": {"type": "string"},
        }
    )


def _query(operation: Operation, name: str) -> openapi.Parameter:
    description, schema = operation.parameters[name]
    needed = {"required": True} if name in operation.required else {}
    given = {"name": name, "in": "query", "description": description, "schema": schema, **needed}
    return openapi.Parameter.model_validate(given)


def _reference(kind: str, name: str) -> openapi.Reference:
    return openapi.Reference.model_validate({"$ref": f"#/components/{kind}/{name}"})


def _name(status: int) -> str:
    """A status as the name of its response: `NotFound`."""
    return "".join(word.capitalize() for word in HTTPStatus(status).phrase.replace("-", " ").split())
