"""What the user declares about columns in addition to the training rows. A declaration that contradicts the rows is
refused."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from serialize.display.text import printable
from serialize.errors import DumpError
from serialize.formats.datetimes import Datetimes, json_text
from serialize.frame import scalars
from serialize.signature import ORDINARY, Column, ColumnKind, Scalar, Signature

Bound = float | str | date | None
Bounds = Mapping[str, tuple[Bound, Bound]]

HEADROOM = 1000
_FEW = 10


@dataclass(frozen=True, slots=True)
class Declarations:
    """Declarations by column name: inclusive `bounds` of numbers or datetimes; `categories`, columns restricted to the
    given values or to those in the training rows; `text`, columns that accept any string; `nullable`, columns that may
    be null although no training row has a null; `accept_unseen`, columns with categories that accept other values too,
    None for all of them."""

    bounds: Bounds = field(default_factory=dict)
    categories: Mapping[str, Sequence[Scalar] | None] = field(default_factory=dict)
    text: frozenset[str] = frozenset()
    nullable: frozenset[str] = frozenset()
    accept_unseen: frozenset[str] | None = frozenset()

    @classmethod
    def of(
        cls,
        bounds: Bounds | None = None,
        categories: Mapping[str, Sequence[Scalar]] | Iterable[str] | None = None,
        text: Iterable[str] | None = None,
        nullable: Iterable[str] | None = None,
        accept_unseen: bool | Iterable[str] = (),
    ) -> "Declarations":
        """The declarations from the arguments of `dump`."""
        closed = dict(categories) if isinstance(categories, Mapping) else dict.fromkeys(_names(categories))
        opened = None if accept_unseen is True else frozenset(_names(accept_unseen or ()))
        return cls(dict(bounds or {}), closed, frozenset(_names(text)), frozenset(_names(nullable)), opened)

    @property
    def names(self) -> set[str]:
        """Every column with a declaration."""
        return {*self.bounds, *self.categories, *self.text, *self.nullable, *(self.accept_unseen or ())}


def _names(names: Iterable[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def bounded(column: Column, present: Sequence[Any], bounds: Any) -> Column:
    """The column with its inclusive `bounds`, (low, high). Raises DumpError for invalid bounds, and if one of the
    training values `present` lies outside them."""
    try:
        low, high = bounds
        minimum, maximum = _limit(low), _limit(high)
    except (TypeError, ValueError):
        raise DumpError(
            f"The bounds of {column.name!r} are {bounds!r}; give (low, high), each a number or None for no limit."
        ) from None
    if minimum is not None and maximum is not None and minimum > maximum:
        raise DumpError(f"The bounds of {column.name!r} are in the wrong order: {minimum} is more than {maximum}.")
    column = replace(column, minimum=minimum, maximum=maximum)
    least, greatest = column.limits
    outside = sum(not least <= value <= greatest for value in present)
    if outside:
        raise DumpError(f"Column {column.name!r} has {outside} training rows outside its bounds; widen them.")
    return column


def bounded_datetimes(column: Column, present: Sequence[int], bounds: Any) -> Column:
    """The datetime column with its inclusive `bounds`, (low, high): strings, dates or datetimes in the form of the
    column. Raises DumpError for invalid bounds, and if one of the training values `present`, in nanoseconds since
    1970, lies outside them."""
    datetimes = column.datetimes
    assert datetimes is not None
    try:
        low, high = bounds
        earliest, latest = _moment(low, datetimes), _moment(high, datetimes)
    except (TypeError, ValueError, OverflowError):
        raise DumpError(
            f"The bounds of {column.name!r} are {bounds!r}; give (low, high), each {datetimes.expected}, or None for "
            "no limit."
        ) from None
    datetimes = replace(datetimes, earliest=earliest, latest=latest)
    least, greatest = datetimes.limits
    if least > greatest:
        raise DumpError(f"The bounds of {column.name!r} are in the wrong order: {earliest} is more than {latest}.")
    outside = sum(not least <= value <= greatest for value in present)
    if outside:
        raise DumpError(f"Column {column.name!r} has {outside} training rows outside its bounds; widen them.")
    return replace(column, datetimes=datetimes)


def closed(column: Column, seen: Sequence[Any], given: Sequence[Scalar] | None) -> Column:
    """The column restricted to the categories `given`, or without them to the distinct training values `seen`. Raises
    DumpError if a training value is missing from the categories, or if the column cannot hold a category."""
    values = _sorted(column, seen) if given is None else _given(column, given)
    known = set(values)
    left_out = [value for value in seen if value not in known]
    if left_out:
        raise DumpError(f"The categories of {column.name!r} leave out {left_out[0]!r}, which is in the training rows.")
    if not values:
        raise DumpError(
            f"Column {column.name!r} holds no value, so its categories are unknown; give them with categories=."
        )
    return replace(column, kind="category", categories=values)


def opened(column: Column, declared: frozenset[str] | None) -> Column:
    """The column, accepting unseen values if `declared` names it; None names all columns with categories other than
    true and false. An unseen string may be as long as in a text column, and an unseen number is of the column's dtype.
    Raises DumpError for a named column without such categories, or with categories of several types."""
    families = set(map(_family, column.categories or ()))
    suits = bool(families - {"boolean"})
    if not (suits if declared is None else column.name in declared):
        return column
    if not suits:
        raise DumpError(
            f"Column {column.name!r} takes {column.expected}; accept_unseen is for columns with a list of categories."
        )
    if len(families) > 1:
        raise DumpError(f"The categories of {column.name!r} have several types, so it cannot accept unseen values.")
    categories: Any = column.categories
    if families == {"string"}:
        return replace(column, accepts_unseen=True, longest=max(map(len, categories)))
    largest = max(map(abs, categories))
    return replace(column, accepts_unseen=True, largest=float(largest) if largest > ORDINARY / HEADROOM else None)


def strictness(signature: Signature) -> str:
    """Lines for the user of `dump`: which columns accept only listed values or no null, the error that a caller gets,
    and the argument and the option that change it. Empty if there are none."""
    closed = [column for column in signature if column.accepted == "category" and not _is_boolean(column)]
    filled = [column for column in signature if not column.nullable]
    lines = [
        line
        for columns, value, got, argument in (
            (closed, "a value that is not listed", '"unseen"', "accept_unseen"),
            (filled, "null", "null", "nullable"),
        )
        if columns
        for line in (
            f"  to {value}, in {_few(columns)}; such as {columns[0].name}: expected {columns[0].expected}; got {got}",
            f"    To accept it: {argument}={json.dumps([column.name for column in columns[:_FEW]], ensure_ascii=False)}"
            f" (train, and adopt with --data: --{argument.replace('_', '-')} COLUMN)",
        )
    ]
    return "\n".join(["The service will answer 422", *map(printable, lines), ""]) if lines else ""


def is_json_value(value: Any) -> bool:
    """Whether a value can be written as JSON."""
    return isinstance(value, str | bool | int) or (isinstance(value, float) and bool(np.isfinite(value)))


def _moment(bound: Any, datetimes: Datetimes) -> str | None:
    """A bound as a string in the form of the column. A date is midnight in a column of naive datetimes. Raises
    ValueError or TypeError for anything else."""
    if bound is None or bound is pd.NaT:
        return None
    if isinstance(bound, np.datetime64):
        bound = pd.Timestamp(bound)
    text = json_text(bound) if isinstance(bound, date) else bound
    if not isinstance(text, str):
        raise TypeError(bound)
    if datetimes.unit != "D" and datetimes.zone is None and len(text) == len("2024-05-31"):
        text += "T00:00:00"
    least, greatest = datetimes.limits
    value = datetimes.nanoseconds(text)
    if not least <= value <= greatest:
        raise ValueError(bound)
    return datetimes.text(value)


def _limit(bound: Any) -> int | float | None:
    """A bound as a plain number, None for infinity. Raises ValueError or TypeError for anything but a number."""
    if bound is None:
        return None
    number = float(bound)
    if isinstance(bound, str | bool) or np.isnan(number):
        raise ValueError(bound)
    return None if np.isinf(number) else int(bound) if number.is_integer() else number


def _given(column: Column, given: Sequence[Scalar]) -> tuple[Scalar, ...]:
    """The declared categories as JSON values. Raises DumpError for one that the column cannot hold."""
    values = tuple(dict.fromkeys(scalars(pd.Series(list(given), dtype=object))))
    if column.nullable:
        values = tuple(value for value in values if value is not None)
    families = set(map(_family, column.levels.values)) if column.levels else {_FAMILIES[column.kind]}
    for value in values:
        if value is None:
            raise DumpError(f"The categories of {column.name!r} include null; use nullable=[{column.name!r}] instead.")
        held = _family(value) in families and is_json_value(value)
        if not held or (column.kind == "integer" and not float(value).is_integer()):
            raise DumpError(f"The categories of {column.name!r} include {value!r}, which the column cannot hold.")
    return tuple(map(int, values)) if column.kind == "integer" else values  # type: ignore[arg-type]


_FAMILIES: Mapping[ColumnKind, str] = {"text": "string", "boolean": "boolean", "integer": "number", "number": "number"}


def _family(value: Scalar) -> str:
    return "string" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"


def _is_boolean(column: Column) -> bool:
    return all(isinstance(value, bool) for value in column.categories or ())


def _few(columns: Sequence[Column]) -> str:
    more = len(columns) - _FEW
    return ", ".join(column.name for column in columns[:_FEW]) + (f" and {more} more columns" if more > 0 else "")


def _sorted(column: Column, seen: Sequence[Any]) -> tuple[Scalar, ...]:
    if column.levels is None:
        return tuple(sorted(seen))
    held = set(seen)
    return tuple(value for value in column.levels.values if value in held)
