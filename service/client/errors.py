"""What a call of the client may raise. The errors can be pickled, so that a pool of processes can pass them on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Self

_NAMED_FAULTS = 20
_KINDS = "urn:prediction-service:problem:"


class ClientError(Exception):
    """Any error of the client. If `predict_many` or `update_many` raises it, the first `stored` items of the input are
    stored, and the error is about the items that follow them."""

    stored: int = 0


class InvalidAddress(ClientError):
    """The URL or the key cannot be used."""


class NotJson(ClientError):
    """An item was not sent, because JSON has no form for one of its values or keys. `pointer` is the JSON pointer of
    the value; for several items it begins with the position in the whole input."""

    def __init__(self, pointer: str, value: str) -> None:
        super().__init__(pointer, value)
        self.pointer = pointer
        self.value = value

    def __str__(self) -> str:
        return f"{self.pointer} is {self.value}, and JSON has no such value."


class NoAnswer(ClientError):
    """The service gave no usable answer within the patience, or something else answered. If `may_be_stored` is true,
    the request may have been stored. It is safe to repeat it under the same id."""

    def __init__(self, reason: str, may_be_stored: bool) -> None:
        super().__init__(reason, may_be_stored)
        self.reason = reason
        self.may_be_stored = may_be_stored

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a request: its place (a JSON pointer), a sentence, the bad value, and what the service expects."""

    pointer: str
    detail: str
    value: Any
    expected: str

    @classmethod
    def of(cls, body: Any) -> Self:
        """A fault of a problem. What is missing there is empty."""
        found = body if isinstance(body, dict) else {}
        return cls(
            str(found.get("pointer", "")),
            str(found.get("detail", "")),
            found.get("value"),
            str(found.get("expected", "")),
        )

    def moved(self, first: int) -> "Fault":
        """The fault of an array, as one of the whole input. The array began at position `first` of the input."""
        place = re.match(r"/(\d+)", self.pointer)
        if place is None:
            return self
        position = int(place[1]) + first
        detail = re.sub(rf"^item {place[1]}:", f"item {position}:", self.detail)
        return replace(self, pointer=f"/{position}{self.pointer[place.end() :]}", detail=detail)


class Refused(ClientError):
    """The service refused the request, and a repetition would not change that: a 4xx such as 401, 413 or 422, but also
    a redirect or a 500. `title`, `detail` and `faults` are those of the problem. If `may_be_stored` is true, the
    request may have been stored all the same: the status is 500 or above, or an earlier attempt had no answer."""

    def __init__(
        self, status: int, title: str, detail: str, faults: Sequence[Fault] = (), may_be_stored: bool = False
    ) -> None:
        super().__init__(status, title, detail, faults, may_be_stored)
        self.status = status
        self.title = title
        self.detail = detail
        self.faults = tuple(faults)
        self.may_be_stored = may_be_stored or status >= 500

    def __str__(self) -> str:
        return f"{self.status} {self.title}" + (f": {self.detail}" if self.detail else "")


class Conflict(Refused):
    """The id is known with another observation (409)."""


class NotFound(Refused):
    """/update got an id that has no prediction (404)."""


def refusal(status: int, body: Any, location: str | None, first: int = 0, *, may_be_stored: bool = False) -> Refused:
    """The error for a response that is no 200, from its JSON body, None if it has none, and its Location header. For an
    array, `first` is the position of its first item in the whole input. `may_be_stored` tells of earlier attempts."""
    problem = body if isinstance(body, dict) else {}
    title = str(problem.get("title") or _phrase(status))
    detail = str(problem.get("detail") or "")
    if location and 300 <= status < 400:
        detail = f"it redirects to {location}; give that URL"
    listed = problem.get("errors")
    faults = [Fault.of(each) for each in listed] if isinstance(listed, list) else []
    if first and faults:
        faults = [fault.moved(first) for fault in faults]
        detail = _named(faults, detail)
    kinds = {_KINDS + "observation-conflict": Conflict, _KINDS + "unknown-observation": NotFound}
    return kinds.get(str(problem.get("type")), Refused)(status, title, detail, faults, may_be_stored)


def _named(faults: Sequence[Fault], detail: str) -> str:
    """The detail of a problem, made anew from its faults."""
    more = re.search(r"; and (at least )?\d+ more$", detail)
    named = faults[:_NAMED_FAULTS] if more else faults
    return "; ".join(fault.detail for fault in named) + (more[0] if more else "")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown status"
