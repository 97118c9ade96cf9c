"""Reads request bodies as strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, limited depth and size."""

import json
import re
from typing import Any, NoReturn

from flask import Request

from service.errors import BodyTooLarge, MalformedBody, UnsupportedBody, shown

_WHITESPACE = b" \t\r\n"


class JsonBody:
    """Reads bodies: an array of at most `max_bytes`, any other value of at most `max_object_bytes`."""

    def __init__(self, max_object_bytes: int, max_bytes: int) -> None:
        self._max_object_bytes = max_object_bytes
        self._max_bytes = max_bytes

    def of(self, request: Request) -> Any:
        """The JSON value of a request's body. Raises UnsupportedBody, BodyTooLarge and MalformedBody."""
        environ = request.environ
        if environ.get("CONTENT_TYPE") != "application/json":
            _require_json(request)
        if "HTTP_CONTENT_ENCODING" in environ:
            raise UnsupportedBody("Send the body without a Content-Encoding.")
        return decode(self._bytes(environ))

    def of_optional(self, request: Request, default: Any) -> Any:
        """Like `of`, but returns the default if the request has no body."""
        environ = request.environ
        is_empty = environ.get("CONTENT_LENGTH", "") in ("", "0") and "HTTP_TRANSFER_ENCODING" not in environ
        return default if is_empty else self.of(request)

    def _bytes(self, environ: dict[str, Any]) -> bytes:
        given = environ.get("CONTENT_LENGTH", "")
        # Without a length, the body ends where the server says, if the server terminates the input.
        longest = self._max_bytes + 1 if environ.get("wsgi.input_terminated") else 0
        length = int(given) if given.isdecimal() else longest
        if given and length > self._max_bytes:
            raise BodyTooLarge(f"The body has {length} bytes; the limit is {self._max_bytes}.")
        body: bytes = environ["wsgi.input"].read(min(length, self._max_object_bytes + 1))
        if len(body) > self._max_object_bytes:
            body = self._long(environ, body, length)
        if len(body) < length <= self._max_bytes:
            raise MalformedBody(f"The body ended after {len(body)} of {length} bytes.")
        return body

    def _long(self, environ: dict[str, Any], beginning: bytes, length: int) -> bytes:
        """The whole of a body that is too long for an object. Raises BodyTooLarge if it is not an array."""
        if not beginning.lstrip(_WHITESPACE).startswith(b"["):
            raise BodyTooLarge(f"The body is over the limit of {self._max_object_bytes} bytes for an object.")
        body: bytes = beginning + environ["wsgi.input"].read(length - len(beginning))
        if len(body) > self._max_bytes:
            raise BodyTooLarge(f"The body is over the limit of {self._max_bytes} bytes.")
        return body


def _require_json(request: Request) -> None:
    if request.mimetype != "application/json":
        raise UnsupportedBody("Send the header Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Send JSON in UTF-8.")


MAX_DEPTH = 16


def decode(body: bytes) -> Any:
    """The JSON value of a body. Raises MalformedBody."""
    # Checking the start first rejects most deeply nested bodies at little cost.
    if (len(body) > _START_BYTES and _is_too_deep(body[:_START_BYTES])) or _is_too_deep(body):
        raise MalformedBody(f"The body is nested more than {MAX_DEPTH} deep, or has unmatched brackets.")
    try:
        return _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"The body is not JSON: {error.msg} at line {error.lineno} column {error.colno}.") from None
    except ValueError:
        raise MalformedBody("The body contains an integer with too many digits.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedBody(f"The key {shown(_first_repeated(pairs))} occurs twice in one object.")
    return members


def _first_repeated(pairs: list[tuple[str, Any]]) -> str | None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None


def _refuse(token: str) -> NoReturn:
    raise MalformedBody(f"The body contains {token}, which is not JSON; send null for a missing value.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)


_START_BYTES = 4096
_STRING = re.compile(rb'"[^"]*"')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_UNMARKED = bytes(set(range(256)) - set(b'[]{}"'))


def _is_too_deep(body: bytes) -> bool:
    return body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(_brackets(body), MAX_DEPTH)


def _brackets(body: bytes) -> bytes:
    """The brackets of a body outside its strings, with braces as square brackets, found without a Python loop. An
    unterminated string hides the rest."""
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two adjacent quotes are an empty string, or close one string and open the next.
    marks = body.translate(_ONE_KIND, _UNMARKED).replace(b'""', b"")
    return _STRING.sub(b"", marks).partition(b'"')[0] if b'"' in marks else marks


def _is_deeper(brackets: bytes, depth: int) -> bool:
    """Whether brackets are nested more than `depth` deep. Each round removes the innermost pairs; unmatched brackets
    count as too deep only if more than `depth` open ones are left."""
    for _ in range(depth):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            return brackets.count(b"[") > depth
        brackets = fewer
    return bool(brackets)
