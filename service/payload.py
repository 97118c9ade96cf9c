"""Bytes to JSON, strictly: UTF-8, no duplicate keys, no NaN, no Infinity."""

import json
from typing import Any, NoReturn

from service.errors import MalformedBody


def decode(body: bytes) -> Any:
    """The JSON value of a body. Raises MalformedBody."""
    try:
        return _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"The body is not JSON: {error.msg} at line {error.lineno} column {error.colno}.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except ValueError:
        raise MalformedBody("The body holds an integer of more digits than can be read.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise MalformedBody(f"The key {json.dumps(twice)} occurs twice in one object.")
    return members


def _refuse(token: str) -> NoReturn:
    raise MalformedBody(f"The body holds {token}, which is not JSON; send null for a missing value.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)
