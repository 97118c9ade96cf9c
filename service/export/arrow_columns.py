"""Columns of a block as Arrow arrays. A block is stored before the kinds of the whole log are known, so each array
keeps its values exactly, and gets the kind of the whole column later."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from service.export.formats import TableKind
from service.export.table_schema import as_kind, joined, kind_of

TYPES: Mapping[TableKind | None, pa.DataType] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "json": pa.string(),
    "moment": pa.timestamp("us", "UTC"),
    None: pa.string(),
}
_PLAIN: Mapping[type, TableKind] = {bool: "boolean", int: "integer", float: "number", str: "text"}
_JSON = pa.json_(pa.string())


def stored(values: Sequence[Any]) -> tuple[TableKind | None, pa.Array]:
    """The kind of n JSON values, and an array that keeps them exactly: of their type, of pairs of integer and number,
    or of JSON texts."""
    types = set(map(type, values)) - {type(None)}
    try:
        match list(types):
            case []:
                return None, pa.nulls(len(values))
            case [one] if one in _PLAIN:
                return _PLAIN[one], pa.array(values, TYPES[_PLAIN[one]])
            case [_, _] if types == {int, float}:
                return "number", _pairs(values)
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        pass  # an integer beyond 64 bits, or text with half of a surrogate pair
    texts = [None if value is None else json.dumps(value) for value in values]
    return reduce(joined, map(kind_of, values)), pa.ExtensionArray.from_storage(_JSON, pa.array(texts, pa.string()))


def of_kind(array: pa.Array, kind: TableKind | None) -> pa.Array:
    """The array of `stored` as an array of the kind of the whole column."""
    wanted = TYPES[kind]
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), wanted)
    if kind == "moment":
        return _moments(array)
    if kind == "number":
        if pa.types.is_struct(array.type):
            return pc.coalesce(array.field("number"), array.field("integer").cast(wanted, safe=False))
        if pa.types.is_integer(array.type):
            return array.cast(wanted, safe=False)
    if array.type == wanted and kind != "json":
        return array
    return pa.array([as_kind(value, kind) for value in _values(array)], wanted)


def _pairs(values: Sequence[Any]) -> pa.Array:
    integers = pa.array([value if type(value) is int else None for value in values], pa.int64())
    numbers = pa.array([value if type(value) is float else None for value in values], pa.float64())
    return pa.StructArray.from_arrays([integers, numbers], ["integer", "number"])


def _values(array: pa.Array) -> list[Any]:
    """The JSON values of an array of `stored`."""
    if pa.types.is_struct(array.type):
        pairs = zip(array.field("integer").to_pylist(), array.field("number").to_pylist(), strict=True)
        return [number if integer is None else integer for integer, number in pairs]
    if array.type == _JSON:
        return [None if text is None else json.loads(text) for text in array.storage.to_pylist()]
    values: list[Any] = array.to_pylist()
    return values


def _moments(texts: pa.Array) -> pa.Array:
    wanted = TYPES["moment"]
    try:
        return texts.cast(wanted)
    except pa.ArrowInvalid:  # another form of ISO 8601
        return pa.array([None if text is None else _moment(text) for text in texts.to_pylist()], wanted)


def _moment(text: str) -> datetime:
    """A time in UTC unless it has a zone."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
