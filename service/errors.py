"""Everything that can be answered other than 200, as exceptions with a status. No Flask in here: one place at the
edge turns them into problem+json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

PROBLEM_JSON = "application/problem+json"
LISTED_FAULTS = 1000

_PROBLEM_TYPES = "urn:prediction-service:problem:"
_SHOWN_CHARACTERS = 200
_NAMED_FAULTS = 20
_RENAMED_PHRASES = {  # Python 3.13 gives these statuses the names of RFC 9110
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a body: where (a JSON pointer, RFC 6901), what, the offending value, and what was
    expected in its place."""

    pointer: str
    detail: str
    value: Any
    expected: str

    @classmethod
    def of_id(cls, where: str, observation_id: int | str, what: str, expected: str) -> "Fault":
        """What is wrong with a caller's id."""
        return cls(where, f"Observation ID: {observation_id} {what}", observation_id, expected)

    def within(self, prefix: str) -> "Fault":
        """The same fault with its pointer below `prefix`."""
        return Fault(prefix + self.pointer, self.detail, self.value, self.expected)

    def to_json(self) -> dict[str, Any]:
        """The fault as a member of `errors`."""
        value = self.value if _is_short(self.value) else shown(self.value)
        return {"pointer": self.pointer, "detail": self.detail, "value": value, "expected": self.expected}


def shown(value: Any) -> str:
    """A value as it is named in a message: as JSON, cut where it is long. What is cut off costs nothing."""
    text = _head(value, json.JSONEncoder())
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def pointer(*keys: str | int) -> str:
    """The JSON pointer (RFC 6901) to a place in a body."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


class ServiceError(Exception):
    """A request that is answered with `status` and problem+json. `detail` says to the caller what to do, `reason`
    to the log what happened."""

    status = 500
    slug = "internal-error"
    title = "Internal error"

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after: int | None = None
        self.reason = self.slug

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says in its headers."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class MalformedBody(ServiceError):
    status, slug, title = 400, "malformed-body", "The body is not JSON"


class Unauthorized(ServiceError):
    """A request without a key, or with one that nobody knows."""

    status, slug, title = 401, "unauthorized", "A key is needed"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="prediction-service"'}


class Forbidden(ServiceError):
    status, slug, title = 403, "forbidden", "This is closed"


class UnknownObservation(ServiceError):
    status, slug, title = 404, "unknown-observation", "No prediction has this id"


class SlowBody(ServiceError):
    status, slug, title = 408, "slow-body", "The body did not arrive in time"


class ObservationConflict(ServiceError):
    status, slug, title = 409, "observation-conflict", "The id belongs to another observation"


class BodyTooLarge(ServiceError):
    status, slug, title = 413, "body-too-large", "The body is too large"


class UnsupportedBody(ServiceError):
    status, slug, title = 415, "unsupported-body", "The body is not of a type that is taken"


class InvalidBody(ServiceError):
    """A body that is JSON but not what is asked for; `faults` names its faults, every one where they are not many."""

    status, slug, title = 422, "invalid-body", "The body is not what is asked for"

    def __init__(self, faults: Sequence[Fault]) -> None:
        named = "; ".join(fault.detail for fault in faults[:_NAMED_FAULTS])
        more = len(faults) - _NAMED_FAULTS
        # Who looks for faults stops when there are enough to list.
        least = "at least " if len(faults) >= LISTED_FAULTS else ""
        super().__init__(f"{named}; and {least}{more} more" if more > 0 else named, faults)


class InvalidQuery(InvalidBody):
    """Query parameters that are not known or not as they must be; `faults` names every one by its name."""

    slug, title = "invalid-query", "The query parameters do not fit"


class Unavailable(ServiceError):
    status, slug, title = 503, "unavailable", "Not now"

    def __init__(self, detail: str, retry_after: int = 1, reason: str = slug) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.reason = reason


def problem(status: int, title: str, detail: str, slug: str, request_id: str) -> dict[str, Any]:
    """The members of a problem+json body (RFC 9457), with `error` for clients that read only that."""
    return {
        "type": _PROBLEM_TYPES + slug,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id}",
        "error": detail,
    }


def reason_phrase(status: int) -> str:
    """The reason phrase of an HTTP status, the same on every Python version: problem types are made of it."""
    return _RENAMED_PHRASES.get(status) or HTTPStatus(status).phrase


def bare_problem(status: HTTPStatus, request_id: str) -> bytes:
    """The problem+json body for a request that is refused before it reaches the application."""
    title = reason_phrase(status)
    slug = title.lower().replace(" ", "-")
    return json.dumps(problem(status, title, f"{title}.", slug, request_id)).encode() + b"\n"


def _is_short(value: Any) -> bool:
    """Whether a value is short enough, and JSON enough, to be repeated as it is."""
    try:
        return len(_head(value, json.JSONEncoder(allow_nan=False))) <= _SHOWN_CHARACTERS
    except ValueError:
        return False


def _head(value: Any, encoder: json.JSONEncoder) -> str:
    """The beginning of a value's JSON: all of it where that is short, else somewhat more than is shown."""
    if isinstance(value, str):
        return encoder.encode(value[: _SHOWN_CHARACTERS + 1])
    text = ""
    for part in encoder.iterencode(value):
        text += part
        if len(text) > _SHOWN_CHARACTERS:
            break
    return text
