"""Reads request bodies as strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, limited depth, size and memory."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Request

from service.batching import Aside
from service.errors import BodyTooLarge, MalformedBody, UnsupportedBody
from service.prediction.arrays.encoded_body import EncodedBody
from service.prediction.strict_json import decode, decode_shallow, decode_yielding, shallow
from service.web.access_log import RequestInfo
from service.web.body_budget import Held

_WHITESPACE = b" \t\r\n"

# A shorter body needs no place in the budget before it is read, and is parsed in the event loop.
SMALL_BYTES = 8192
_FIRST_BYTES = 64 * 1024  # of a body without a length
_SCANNED_BYTES = 64 * 1024  # up to here the event loop finds the outline itself: a thread costs more time
# Measured: the memory of an item until it is answered, for itself and for each column of the model; and of what else a
# body may contain: a value in a list, a list, and a member of an object with its key.
_ITEM_BYTES, _COLUMN_BYTES = 1024, 128
_VALUE_BYTES, _LIST_BYTES, _MEMBER_BYTES = 64, 128, 256
_OUTER_MEMBERS = 2  # an item has its id and its observation


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits of a body: bytes of one object, bytes of an array, and items of an array. Items are expected to have
    this number of columns."""

    object_bytes: int
    array_bytes: int
    items: int
    columns: int


class JsonBody:
    """Reads bodies within `limits`. `aside` runs a job outside of the event loop."""

    def __init__(self, limits: BodyLimits, aside: Aside) -> None:
        self._limits = limits
        self._unheld_bytes = min(SMALL_BYTES, limits.object_bytes)
        self._aside = aside

    def of(self, request: Request) -> Any:
        """The JSON value of a request's body. Raises UnsupportedBody, BodyTooLarge, MalformedBody, and Unavailable if
        the worker has no memory for the body now."""
        found = self.value_or_encoded(request)
        return found.decode() if isinstance(found, EncodedBody) else found

    def value_or_encoded(self, request: Request) -> Any:
        """The same, but a short object or an array is not decoded: it is an EncodedBody. The worker has the memory for
        it, and an array has not too many items."""
        environ = request.environ
        if environ.get("CONTENT_TYPE") != "application/json":
            _require_json(request)
        if "HTTP_CONTENT_ENCODING" in environ:
            raise UnsupportedBody("Send the body without a Content-Encoding.")
        body = self._bytes(environ)
        if len(body) <= SMALL_BYTES and body.startswith(b"{"):
            return EncodedBody(body, False, partial(decode, body))
        held = RequestInfo.of(environ).held()
        estimate = partial(self._estimate, body)
        held.hold_parsed(estimate() if len(body) <= _SCANNED_BYTES else self._aside(estimate))
        if not _is_array(body):
            return self._decode(body, held)
        return EncodedBody(body, True, partial(self._decode, body, held), partial(held.hold_body, 0))

    def _decode(self, body: bytes, held: Held) -> Any:
        """The JSON value of a body that is not too deep."""
        if len(body) <= SMALL_BYTES:
            return decode_shallow(body)
        value = self._aside(partial(decode_yielding, body))
        held.hold_body(0)
        return value

    def of_optional(self, request: Request, default: Any) -> Any:
        """Like `of`, but returns the default if the request has no body."""
        environ = request.environ
        is_empty = environ.get("CONTENT_LENGTH", "") in ("", "0") and "HTTP_TRANSFER_ENCODING" not in environ
        return default if is_empty else self.of(request)

    def _bytes(self, environ: dict[str, Any]) -> bytes:
        limits = self._limits
        given = environ.get("CONTENT_LENGTH", "")
        # Without a length, the body ends where the server says, if the server terminates the input.
        longest = limits.array_bytes + 1 if environ.get("wsgi.input_terminated") else 0
        length = int(given) if given.isdecimal() else longest
        if given and length > limits.array_bytes:
            raise BodyTooLarge(f"The body has {length} bytes; the limit is {limits.array_bytes}.")
        if length > self._unheld_bytes:
            body = self._long(environ, length, is_known=bool(given))
        else:
            body = environ["wsgi.input"].read(length)
        if len(body) < length <= limits.array_bytes:
            raise MalformedBody(f"The body ended after {len(body)} of {length} bytes.")
        return body

    def _long(self, environ: dict[str, Any], length: int, *, is_known: bool) -> bytes:
        """A body that may be long. It is read in steps, and holds its place in the budget before each step. Raises
        BodyTooLarge if it is too long for an object and is not an array."""
        limits, held = self._limits, RequestInfo.of(environ).held()
        first = () if is_known else (self._unheld_bytes, _FIRST_BYTES)
        body = b""
        for step in sorted({min(length, step) for step in (*first, limits.object_bytes + 1, length)}):
            if len(body) > limits.object_bytes and not _is_array(body):
                raise BodyTooLarge(f"The body is over the limit of {limits.object_bytes} bytes for an object.")
            held.hold_body(self._to_hold(length if is_known else step))
            body += environ["wsgi.input"].read(step - len(body))
            if len(body) < step:
                break
        if len(body) > limits.array_bytes:
            raise BodyTooLarge(f"The body is over the limit of {limits.array_bytes} bytes.")
        held.hold_body(self._to_hold(len(body)))
        return body

    def _to_hold(self, length: int) -> int:
        return length if length > self._unheld_bytes else 0

    def _estimate(self, body: bytes) -> int:
        """About how many bytes of memory the values of a body take until it is answered. Raises MalformedBody and
        BodyTooLarge for a body that is too deep or has too many items."""
        found = shallow(body)
        items = found.items if _is_array(body) else 1
        if items > self._limits.items:
            raise BodyTooLarge(f"The array has {items} items; send at most {self._limits.items} at once.")
        width = 1 if found.greatest < 0x80 else 2 if found.greatest < 0xF0 else 4
        expected = items * (_OUTER_MEMBERS + self._limits.columns)
        others = (
            _VALUE_BYTES * max(body.count(b",") - expected, 0)
            + _MEMBER_BYTES * max(body.count(b":") - expected, 0)
            + _LIST_BYTES * body.count(b"[")
        )
        return len(body) * (1 + 2 * width) + items * (_ITEM_BYTES + _COLUMN_BYTES * self._limits.columns) + others


def _is_array(body: bytes) -> bool:
    return body.startswith(b"[") or body.lstrip(_WHITESPACE).startswith(b"[")


def _require_json(request: Request) -> None:
    if request.mimetype != "application/json":
        raise UnsupportedBody("Send the header Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Send JSON in UTF-8.")
