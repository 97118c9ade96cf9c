"""The body of a request as strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, a limited depth and a limited
size."""

import json
import re
from typing import Any, NoReturn

from flask import Request

from service.errors import BodyTooLarge, MalformedBody, UnsupportedBody, shown

_WHITESPACE = b" \t\r\n"


class JsonBody:
    """Reads bodies: an object of at most `max_object_bytes`, anything of at most `max_bytes`."""

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
        """The same, or the default for a request without a body."""
        environ = request.environ
        is_empty = environ.get("CONTENT_LENGTH", "") in ("", "0") and "HTTP_TRANSFER_ENCODING" not in environ
        return default if is_empty else self.of(request)

    def _bytes(self, environ: dict[str, Any]) -> bytes:
        given = environ.get("CONTENT_LENGTH", "")
        # Without a length the body ends where the server says so, if it does.
        longest = self._max_bytes + 1 if environ.get("wsgi.input_terminated") else 0
        length = int(given) if given.isdecimal() else longest
        if given and length > self._max_bytes:
            raise BodyTooLarge(f"The body has {length} bytes; it may have {self._max_bytes}.")
        body: bytes = environ["wsgi.input"].read(min(length, self._max_object_bytes + 1))
        if len(body) > self._max_object_bytes:
            body = self._long(environ, body, length)
        if len(body) < length <= self._max_bytes:
            raise MalformedBody(f"The body ended after {len(body)} of {length} bytes.")
        return body

    def _long(self, environ: dict[str, Any], beginning: bytes, length: int) -> bytes:
        """The whole of a body that only an array may have, by its beginning."""
        if not beginning.lstrip(_WHITESPACE).startswith(b"["):
            raise BodyTooLarge(f"The body has more than the {self._max_object_bytes} bytes that an object may have.")
        body: bytes = beginning + environ["wsgi.input"].read(length - len(beginning))
        if len(body) > self._max_bytes:
            raise BodyTooLarge(f"The body has more than {self._max_bytes} bytes.")
        return body


def _require_json(request: Request) -> None:
    if request.mimetype != "application/json":
        raise UnsupportedBody("Send the header Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Send JSON in UTF-8.")


MAX_DEPTH = 16


def decode(body: bytes) -> Any:
    """The JSON value of a body. Raises MalformedBody."""
    # The beginning of a body that is made to be deep tells it, at no cost.
    if (len(body) > _BEGINNING and _is_too_deep(body[:_BEGINNING])) or _is_too_deep(body):
        raise MalformedBody(f"The body is nested more than {MAX_DEPTH} deep, or its brackets do not match.")
    try:
        return _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"The body is not JSON: {error.msg} at line {error.lineno} column {error.colno}.") from None
    except ValueError:
        raise MalformedBody("The body holds an integer of more digits than can be read.") from None


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
    raise MalformedBody(f"The body holds {token}, which is not JSON; send null for a missing value.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)


_BEGINNING = 4096
_STRING = re.compile(rb'"[^"]*"')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_UNMARKED = bytes(set(range(256)) - set(b'[]{}"'))


def _is_too_deep(body: bytes) -> bool:
    return body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(_brackets(body), MAX_DEPTH)


def _brackets(body: bytes) -> bytes:
    """The brackets of a body that stand outside its strings, all of one kind, found without a step in Python. A
    string that does not end hides what follows."""
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two quotes in a row neither open nor close anything.
    marks = body.translate(_ONE_KIND, _UNMARKED).replace(b'""', b"")
    return _STRING.sub(b"", marks).partition(b'"')[0] if b'"' in marks else marks


def _is_deeper(brackets: bytes, depth: int) -> bool:
    """Whether brackets are nested more than `depth` deep: each round takes the innermost pairs away. Where they do not
    match, what stays must at least be few."""
    for _ in range(depth):
        without = brackets.replace(b"[]", b"")
        if len(without) == len(brackets):
            return brackets.count(b"[") > depth
        brackets = without
    return bool(brackets)
