"""Every error response, as an exception with a status. `web.problem` turns them into problem+json."""

import errno
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

PROBLEM_JSON = "application/problem+json"
LISTED_FAULTS = 1000
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})

_PROBLEM_TYPES = "urn:prediction-service:problem:"
_SHOWN_CHARACTERS = 200
_NAMED_FAULTS = 20
# With its check for circles, an encoder that stops early would keep the value in memory until the next collection.
_ANY = json.JSONEncoder(check_circular=False)
_STRICT = json.JSONEncoder(check_circular=False, allow_nan=False)
_RENAMED_PHRASES = {  # Python 3.13 gives these statuses the names of RFC 9110
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One error in a body: its place (a JSON pointer, RFC 6901), the bad value, and what was expected. `kind` is for
    counting; a response does not have it."""

    pointer: str
    detail: str
    value: Any
    expected: str
    kind: str = "value"

    @classmethod
    def of_id(cls, where: str, observation_id: int | str, what: str, expected: str, kind: str = "id") -> "Fault":
        """A fault of an observation id: `what` follows the id in the detail."""
        return cls(where, f"Observation ID: {observation_id} {what}", observation_id, expected, kind)

    @classmethod
    def of_parameter(cls, name: str, value: Any, expected: str, what: str | None = None) -> "Fault":
        """A fault of a query parameter: the detail says what was expected, unless `what` says something else."""
        return cls(pointer(name), f"{name}: {what or 'expected ' + expected}; got {shown(value)}", value, expected)

    def within(self, prefix: str) -> "Fault":
        """The same fault, with `prefix` before its pointer."""
        return replace(self, pointer=prefix + self.pointer)

    def to_json(self) -> dict[str, Any]:
        """The fault as a member of `errors`."""
        value = self.value if _is_short(self.value) else shown(self.value)
        return {"pointer": self.pointer, "detail": self.detail, "value": value, "expected": self.expected}


def shown(value: Any) -> str:
    """A value for a message: its JSON, cut after 200 characters. The part that is cut off is not encoded."""
    text = _head(value, _ANY)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def pointer(*keys: str | int) -> str:
    """The JSON pointer (RFC 6901) to a place in a body."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


class ServiceError(Exception):
    """An error response: `status` and problem+json. `detail` tells the client what to do; `reason` goes to the log;
    `headers` are sent too."""

    status = 500
    slug = "internal-error"
    title = "Internal error"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.reason = self.slug


class MalformedBody(ServiceError):
    status, slug, title = 400, "malformed-body", "Malformed JSON body"


class Unauthorized(ServiceError):
    """A request without an API key, or with an unknown one."""

    status, slug, title = 401, "unauthorized", "API key required"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="prediction-service"'}


class Forbidden(ServiceError):
    status, slug, title = 403, "forbidden", "Forbidden"


class UnknownObservation(ServiceError):
    status, slug, title = 404, "unknown-observation", "Unknown observation id"


class UnknownModel(ServiceError):
    status, slug, title = 404, "unknown-model", "Unknown model"


class UnknownJob(ServiceError):
    status, slug, title = 404, "unknown-job", "Unknown job"


class SlowBody(ServiceError):
    status, slug, title = 408, "slow-body", "Request body timeout"


class ObservationConflict(ServiceError):
    status, slug, title = 409, "observation-conflict", "Observation id conflict"


class ModelConflict(ServiceError):
    """A model that cannot be registered, promoted or retired as things are."""

    status, slug, title = 409, "model-conflict", "Model conflict"


class JobConflict(ServiceError):
    """A job that cannot be queued or cancelled as things are."""

    status, slug, title = 409, "job-conflict", "Job conflict"


class BodyTooLarge(ServiceError):
    status, slug, title = 413, "body-too-large", "Request body too large"


class UnsupportedBody(ServiceError):
    status, slug, title = 415, "unsupported-body", "Unsupported content type"


class InvalidBody(ServiceError):
    """A body that is JSON but has `faults`: all of them, or the first ones if there are many."""

    status, slug, title = 422, "invalid-body", "Invalid request body"

    def __init__(self, faults: Sequence[Fault]) -> None:
        named = "; ".join(fault.detail for fault in faults[:_NAMED_FAULTS])
        more = len(faults) - _NAMED_FAULTS
        # Validation stops when it has enough faults to list.
        least = "at least " if len(faults) >= LISTED_FAULTS else ""
        super().__init__(f"{named}; and {least}{more} more" if more > 0 else named, faults)


class InvalidQuery(InvalidBody):
    """Unknown or invalid query parameters; the pointer of a fault is the name of the parameter."""

    slug, title = "invalid-query", "Invalid query parameters"


class CannotLearn(ServiceError):
    """A job that this service can never do as it is set up; the detail has the reason."""

    status, slug, title = 422, "cannot-learn", "The model cannot be trained here"


class Unavailable(ServiceError):
    status, slug, title = 503, "unavailable", "Service unavailable"

    def __init__(self, detail: str, retry_after: int = 1, reason: str = slug) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}
        self.retry_after = retry_after
        self.reason = reason


def problem(status: int, title: str, detail: str, slug: str, request_id: str) -> dict[str, Any]:
    """A problem+json body (RFC 9457), with `error` for clients that read only that."""
    return {
        "type": _PROBLEM_TYPES + slug,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id}",
        "error": detail,
    }


def reason_phrase(status: int) -> str:
    """The reason phrase of an HTTP status. It is the same on every Python version, because problem types contain it."""
    return _RENAMED_PHRASES.get(status) or HTTPStatus(status).phrase


def bare_problem(status: HTTPStatus, request_id: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the response to a request that does not reach the application."""
    title = reason_phrase(status)
    slug = title.lower().replace(" ", "-")
    body = json.dumps(problem(status, title, f"{title}.", slug, request_id)).encode() + b"\n"
    headers = {
        "Content-Type": PROBLEM_JSON,
        "Content-Length": str(len(body)),
        "X-Request-ID": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    return headers, body


def _is_short(value: Any) -> bool:
    """Whether a value is valid JSON and short enough for a response."""
    try:
        return len(_head(value, _STRICT)) <= _SHOWN_CHARACTERS
    except ValueError:
        return False


def _head(value: Any, encoder: json.JSONEncoder) -> str:
    """The JSON of a value, or a prefix of more than 200 characters if it is long."""
    if isinstance(value, str):
        return encoder.encode(value[: _SHOWN_CHARACTERS + 1])
    text = ""
    for part in encoder.iterencode(value):
        text += part
        if len(text) > _SHOWN_CHARACTERS:
            break
    return text
