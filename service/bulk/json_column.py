"""A column of Arrow for values of JSON."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_INT64 = range(-(2**63), 2**63)


def json_column(values: Sequence[Any]) -> pa.Array:
    """n values as a column of their type, integers and floats as floats. Values of several types, arrays, objects and
    integers of more than 64 bits become their JSON texts, in a column of Arrow's type for these."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        kinds = {float}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind not in _TYPES or (kind is int and not all(value is None or value in _INT64 for value in values)):
        texts = [None if value is None else to_json(value).decode() for value in values]
        return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))
    return pa.array(values, _TYPES[kind])
