"""Bytes to JSON, strictly: UTF-8, no duplicate keys, no NaN, no Infinity, and no deeper than MAX_DEPTH."""

import json
import re
from typing import Any, NoReturn

from service.errors import MalformedBody, shown

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
