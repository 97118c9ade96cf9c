"""Requests as JSON text. A missing value (None or NaN) becomes null, as in the rows that the models are trained on."""

import json
import math
from datetime import date
from typing import Any

from service.client.errors import NotJson

_MOST_DEPTH = 16  # of lists and objects; the service takes no more
_MOST_BITS = 14_000  # of an integer; Python writes 4,300 digits, and the service reads no more

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_escaping_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def encoded(value: Any, first: int = 0) -> bytes:
    """A value as JSON in UTF-8. NaN and NaT become null, a date or datetime becomes text in ISO 8601, and a numpy
    scalar becomes a Python scalar. The items of a list count from `first` in the pointer of an error. Raises NotJson
    for anything else that JSON does not have, such as infinity."""
    try:
        text = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        value = _plain_items(value, first) if isinstance(value, list) else _plain(value, "")
        text = _encoder.encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # UTF-8 has no lone surrogates; as an escape it arrives, and the service names its place
        return _escaping_encoder.encode(value).encode()


def _plain_items(items: list[Any], first: int) -> list[Any]:
    return [_plain(item, f"/{i}") for i, item in enumerate(items, first)]


def _plain(value: Any, pointer: str, depth: int = 0) -> Any:
    """A value in the types of JSON. Raises NotJson with the pointer of what has no such type."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = _scalar(value)
    match value:
        case None | bool() | str():
            return value
        case int() if value.bit_length() <= _MOST_BITS:
            return value
        case float() if not math.isinf(value):
            return None if math.isnan(value) else value
        case date():
            return None if (text := value.isoformat()) == "NaT" else text  # pandas.NaT is a datetime
        case list() | tuple() if depth < _MOST_DEPTH:
            return [_plain(each, f"{pointer}/{i}", depth + 1) for i, each in enumerate(value)]
        case dict() if depth < _MOST_DEPTH:
            keys = [_key(key, pointer) for key in value]
            return {
                key: _plain(each, f"{pointer}/{_escaped(key)}", depth + 1)
                for key, each in zip(keys, value.values(), strict=True)
            }
    raise NotJson(pointer, repr(value) if isinstance(value, float) else f"of the type {type(value).__name__}")


def _scalar(value: Any) -> Any:
    """A numpy scalar as a Python value. Numpy gives times with nanoseconds as integers; a time has microseconds here,
    and a duration stays what it is, because JSON has none."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "M":
        return value.astype("datetime64[us]").item()
    return value if kind == "m" else value.item()


def _key(key: Any, pointer: str) -> str:
    """A key of an object as text, as the encoder writes it. Raises NotJson for another type."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return json.dumps(key)
    raise NotJson(pointer, f"an object with a key of the type {type(key).__name__}")


def _escaped(key: str) -> str:
    """A key in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
