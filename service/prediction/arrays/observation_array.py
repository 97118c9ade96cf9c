"""Parses an array of observations by column, or one observation, with a type generated from the signature.

The result is that of `ObservationParser` for each item, or None for an array that is not surely right: then that parser
says what is wrong."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, defstruct
from msgspec.structs import astuple

from serialize.formats.datetimes import Datetimes
from serialize.signature import Column, Scalar, Signature
from service.prediction.arrays.array_decoder import ArrayDecoder, json_lines
from service.prediction.columns import ObservationColumns
from service.prediction.observation import Observation, canonical

# msgspec decodes an array in one call, in which no other thread runs. It compares a key with the columns one by one, so
# keys in a bad order take time with the square of the columns: 1.5 to 2.4 ns each.
_MOST_COMPARISONS = 10_000_000
_LEAST_EXPONENT = 1e16  # floats from here on are written with an exponent, by msgspec in its own way

_Check = Callable[[Sequence[Scalar]], bool]


class ColumnParser:
    """Parses arrays of observations of one signature, and single ones. If a column of the signature is of a kind that
    only ObservationParser can check, it always returns None. `columns` is the number of columns."""

    def __init__(self, signature: Signature) -> None:
        self._names = signature.names
        self.columns = len(self._names)
        self._optional = [
            (i, field) for i, field in enumerate(_field_names(signature)) if signature.columns[i].nullable
        ]
        self._checks = [(i, check) for i, column in enumerate(signature) if (check := _check(column)) is not None]
        self._has_exponents = any(map(_has_exponents, signature))
        self._decoder = _decoder(signature)
        self._most_items = _MOST_COMPARISONS // max(1, self.columns) ** 2

    def parse(self, body: bytes) -> ObservationColumns | None:
        """The n observations of a body. None for a body that is not surely an array of one or more valid observations
        with n different ids. Never raises."""
        may_be_parsed = body.count(b"{") <= 2 * self._most_items  # an item has two objects
        items = self._decoder.decode(body) if self._decoder and may_be_parsed else None
        if items is None:
            return None
        ids, keys, members, texts = items
        del items
        columns: list[Sequence[Any]] = list(zip(*map(astuple, members), strict=True))
        left_out = [(i, field) for i, field in self._optional if UNSET in columns[i]]
        for i, field in left_out:
            columns[i] = _filled(members, field, columns[i])
        if not all(check(columns[i]) for i, check in self._checks):
            return None
        if self._has_exponents or left_out:
            texts = []  # both at once would take too much memory
            texts = self._texts(columns) if self._has_exponents else json_lines(members)
        return ObservationColumns(ids, keys, dict(zip(self._names, columns, strict=True)), texts)

    def parse_one(self, body: bytes) -> Observation | None:
        """The observation of a body that is surely one, or None. Never raises."""
        item = self._decoder.decode_one(body) if self._decoder else None
        if item is None:
            return None
        row = astuple(item.member)
        left_out = UNSET in row
        if left_out:
            row = tuple(None if value is UNSET else value for value in row)
        if not all(check((row[i],)) for i, check in self._checks):
            return None
        values = dict(zip(self._names, row, strict=True))
        text = canonical(values) if left_out or self._has_exponents else item.text
        return Observation(item.id, item.key, values, text)

    def _texts(self, columns: Sequence[Sequence[Scalar]]) -> list[str]:
        """The observations as canonical JSON, from the n values of each column."""
        return [canonical(dict(zip(self._names, row, strict=True))) for row in zip(*columns, strict=True)]


def _field_names(signature: Signature) -> list[str]:
    """The fields of the generated type, whose names must be identifiers."""
    return [f"c{i}" for i in range(len(signature.columns))]


def _filled(observations: Sequence[Any], field: str, column: Sequence[Any]) -> Sequence[Any]:
    """The column with None for each value that was left out. The observations get it too."""
    for observation, value in zip(observations, column, strict=True):
        if value is UNSET:
            setattr(observation, field, None)
    return tuple(None if value is UNSET else value for value in column)


def _decoder(signature: Signature) -> ArrayDecoder | None:
    fields = _field_names(signature)
    if not fields:
        return None
    try:
        types = [_typed(field, column) for field, column in zip(fields, signature, strict=True)]
        rename = dict(zip(fields, signature.names, strict=True))
        observation = defstruct("Observation", types, rename=rename, kw_only=True, forbid_unknown_fields=True, gc=False)
        return ArrayDecoder("observation", observation)
    except (TypeError, ValueError, NotImplementedError):  # such as for a name with a quote
        return None


def _typed(field: str, column: Column) -> Any:
    type_ = _type(column)
    return (field, type_ | None | UnsetType, UNSET) if column.nullable else (field, type_)


def _type(column: Column) -> Any:
    if column.datetimes is not None:
        return str
    low, high = column.limits
    match column.accepted:
        case "boolean":
            return bool
        case "integer":
            return Annotated[int, Meta(ge=math.ceil(low), le=math.floor(high))]
        case "number":
            return Annotated[float, Meta(ge=low, le=high)]
        case "text":
            return Annotated[str, Meta(max_length=column.max_length)]
        case _:
            return _category(column.categories or ())


def _category(categories: tuple[Scalar, ...]) -> Any:
    if any(isinstance(value, float) for value in categories):
        return float
    if all(isinstance(value, bool) for value in categories):
        return bool
    if any(isinstance(value, bool) for value in categories):
        raise TypeError("True and 1 are one literal for msgspec")
    return Literal[categories]


def _check(column: Column) -> _Check | None:
    """What the type of a column leaves unchecked, as a function of the n values."""
    if column.datetimes is not None:
        return _within(column.datetimes)
    categories = column.categories or ()
    if column.accepted == "category" and any(isinstance(value, bool | float) for value in categories):
        return frozenset((*categories, None)).issuperset
    return None


def _within(datetimes: Datetimes) -> _Check:
    least, greatest = datetimes.limits

    def check(column: Sequence[Any]) -> bool:
        try:
            return all(least <= datetimes.nanoseconds(text) <= greatest for text in {*column} - {None})
        except ValueError:
            return False

    return check


def _has_exponents(column: Column) -> bool:
    """Whether a valid value of the column may be a float that is written with an exponent and a plus sign."""
    if column.accepted == "category":
        return any(isinstance(value, float) and abs(value) >= _LEAST_EXPONENT for value in column.categories or ())
    return column.accepted == "number" and max(map(abs, column.limits)) >= _LEAST_EXPONENT
