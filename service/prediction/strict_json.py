"""Strict JSON (RFC 8259): UTF-8, no duplicate keys, no NaN or Infinity, limited depth."""

import json
from typing import Any, NoReturn

from service.errors import MalformedBody, shown
from service.prediction.outline import Outline, outline

MAX_DEPTH = 16


def decode(body: bytes) -> Any:
    """The JSON value of a body. Raises MalformedBody."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        shallow(body)
    return _decoded(body, _decoder)


def shallow(body: bytes) -> Outline:
    """The outline of a body. Raises MalformedBody if it is too deep for the decoder."""
    found = outline(body, MAX_DEPTH)
    if found.depth > MAX_DEPTH:
        raise MalformedBody(f"The body is nested more than {MAX_DEPTH} deep, or has unmatched brackets.")
    return found


def decode_yielding(body: bytes) -> Any:
    """The JSON value of a long body that is not too deep. Other threads run meanwhile. Raises MalformedBody."""
    return _decoded(body, _yielding_decoder)


def decode_shallow(body: bytes) -> Any:
    """The JSON value of a body that is not too deep. Raises MalformedBody."""
    return _decoded(body, _decoder)


def _decoded(body: bytes, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(body.decode("utf-8"))
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


def _integer(token: str) -> int:
    return int(token)


def _float(token: str) -> float:
    return float(token)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)
# Python code lets other threads run. Without it, an array of long numbers would keep the GIL for 0.3 s and more.
_yielding_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer, parse_float=_float
)
