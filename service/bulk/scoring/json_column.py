"""A column of Arrow for values of JSON."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def json_column(values: Sequence[Any]) -> pa.Array:
    """n values as a column of their type, integers and floats as floats. Values of several types, arrays, objects and
    integers that the type cannot hold become their JSON texts, in a column of Arrow's type for these. Half of a
    surrogate pair is written as an escape."""
    values = [_storable(value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    try:
        return pa.array(values, _TYPES[float if kinds == {int, float} else kinds.pop() if len(kinds) == 1 else object])
    except (KeyError, pa.ArrowException, OverflowError):
        texts = [None if value is None else json.dumps(value) for value in values]
        return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


def _storable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
