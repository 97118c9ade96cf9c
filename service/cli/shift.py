"""Shifts one column of the observations of a simulation.

`COLUMN=+N`, `-N` and `*N` change numbers, `null:SHARE` sets the share of nulls, `null:*N` multiplies it by N, `swap`
exchanges the two most frequent values. Any other text is the new value of every row; `value:TEXT` is for texts that
look like one of the others."""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from serialize.signature import Column, Signature

ColumnValues = list[Any]
Change = Callable[[ColumnValues, np.random.Generator], ColumnValues]

_NUMBER = r"(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?"
_EXPECTED = "COLUMN=+N, -N, *N, VALUE, value:TEXT, null:SHARE, null:*N or swap"


class ShiftError(ValueError):
    """An invalid shift; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The name of a column, and the function that changes its n values with a random generator."""

    column: str
    change: Change

    @classmethod
    def parse(cls, text: str, signature: Signature) -> "Shift":
        """Parses `COLUMN=CHANGE` for a model. Raises ShiftError."""
        columns = {column.name: column for column in signature}
        named = [name for name in columns if text.startswith(f"{name}=")]
        if not named:
            raise ShiftError(f"{text!r} names no column; expected {_EXPECTED}, of {', '.join(columns)}")
        name = max(named, key=len)
        return cls(name, _change(text[len(name) + 1 :], columns[name]))


def _change(text: str, column: Column) -> Change:
    if text == "swap":
        return _swapped
    if text.startswith("null:"):
        return _nulls(text.removeprefix("null:"), column)
    if found := re.fullmatch(f"([-+*])({_NUMBER})", text):
        return _arithmetic(found[1], float(found[2]), column)
    value = _value(text.removeprefix("value:"), column)
    return lambda values, _: [value] * len(values)


def _arithmetic(sign: str, number: float, column: Column) -> Change:
    if column.accepted not in ("integer", "number"):
        raise ShiftError(f"{column.name} is not a number; expected {column.name}=swap, a value or null:SHARE")

    def changed(value: Any) -> Any:
        if value is None:
            return None
        found = value * number if sign == "*" else value + (number if sign == "+" else -number)
        if not math.isfinite(found):
            raise ShiftError(f"{column.name}: {value}{sign}{number:g} is too large for a number")
        return round(found) if column.accepted == "integer" else found

    return lambda values, _: [changed(value) for value in values]


def _nulls(text: str, column: Column) -> Change:
    factor = text.startswith("*")
    number = float(text.removeprefix("*")) if re.fullmatch(f"[*]?{_NUMBER}", text) else math.nan
    if not number >= 0 or (number > 1 and not factor):
        raise ShiftError(f"{column.name}=null:{text}: expected null: with a share from 0 to 1, or null:* with a factor")
    if not column.nullable:
        raise ShiftError(f"{column.name} may not be null")

    def nulled(values: ColumnValues, generator: np.random.Generator) -> ColumnValues:
        present = [place for place, value in enumerate(values) if value is not None]
        share = (1 - len(present) / len(values)) * number if factor else number
        more = round(min(1.0, share) * len(values)) - (len(values) - len(present))
        chosen = set(generator.permutation(present)[: max(0, more)].tolist())
        return [None if place in chosen else value for place, value in enumerate(values)]

    return nulled


def _swapped(values: ColumnValues, _: np.random.Generator) -> ColumnValues:
    frequent = [value for value, _ in Counter(value for value in values if value is not None).most_common(2)]
    if len(frequent) < 2:
        return values
    other = dict(zip(frequent, reversed(frequent), strict=True))
    return [value if value is None else other.get(value, value) for value in values]


def _value(text: str, column: Column) -> Any:
    """The text as a value of the column. The service refuses values that are not valid for it."""
    match column.accepted:
        case "text" | "datetime":
            return text
        case "boolean":
            return {"true": True, "false": False}.get(text.lower(), text)
        case "category":
            return next((one for one in column.categories or () if str(one) == text), text)
        case "integer" | "number":
            if not re.fullmatch(f"[-+]?{_NUMBER}", text) or not math.isfinite(number := float(text)):
                raise ShiftError(f"{column.name}={text}: expected {_EXPECTED}")
            return int(number) if number.is_integer() else number
