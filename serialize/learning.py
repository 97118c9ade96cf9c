"""Learning a signature from the training rows, all of them, and from what the user declares about the columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from serialize.errors import DumpError
from serialize.frame import scalars
from serialize.signature import Column, Container, Kind, Levels, Scalar, Signature

MAX_CATEGORIES = 20

Bounds = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Declarations:
    """What the user says about columns beyond what the rows show, each by column name: inclusive numeric `bounds`,
    string columns to close (`categories`, with their values or those seen) or to open (`text`), and columns that
    may be null though no training row is."""

    bounds: Bounds = field(default_factory=dict)
    categories: Mapping[str, Sequence[Scalar] | None] = field(default_factory=dict)
    text: frozenset[str] = frozenset()
    nullable: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        bounds: Bounds | None = None,
        categories: Mapping[str, Sequence[Scalar]] | Iterable[str] | None = None,
        text: Iterable[str] | None = None,
        nullable: Iterable[str] | None = None,
    ) -> "Declarations":
        """The declarations from the forms in which `dump` takes them."""
        closed = dict(categories) if isinstance(categories, Mapping) else dict.fromkeys(_names(categories))
        return cls(dict(bounds or {}), closed, frozenset(_names(text)), frozenset(_names(nullable)))

    @property
    def names(self) -> set[str]:
        """Every column that is spoken of."""
        return {*self.bounds, *self.categories, *self.text, *self.nullable}


def learn(container: Container, table: pd.DataFrame, dtype: str | None, declared: Declarations) -> Signature:
    """The signature of a training table; `dtype` is that of the array that the table came from, if it was one.

    Raises DumpError for a declaration that contradicts the rows, or a column that JSON cannot carry."""
    unknown = sorted(declared.names - set(table.columns))
    if unknown:
        raise DumpError(f"{unknown[0]!r} is declared but is not a column; the columns are {', '.join(table.columns)}.")
    both = sorted(declared.text & set(declared.categories))
    if both:
        raise DumpError(f"{both[0]!r} is declared both as text and as categories; choose one.")
    return Signature(container, tuple(_column(table[name], dtype, declared) for name in table.columns))


def _names(names: Iterable[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _column(series: "pd.Series[Any]", dtype: str | None, declared: Declarations) -> Column:
    name = str(series.name)
    kind = _kind(name, series)
    column = Column(
        name=name,
        kind=kind,
        nullable=bool(series.isna().any()) or name in declared.nullable,
        dtype=dtype or str(series.dtype),
        null="none" if _null_is_none(series) else "nan",
        levels=_levels(series),
    )
    if kind in ("category", "text"):
        return _string_column(column, series, declared)
    return _numeric_column(column, series, declared)


def _kind(name: str, series: "pd.Series[Any]") -> Kind:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_integer_dtype(dtype):
        return "integer"
    if types.is_float_dtype(dtype):
        return "number"
    if types.is_string_dtype(dtype) or types.is_object_dtype(dtype):
        return _kind_of_values(name, series)
    raise DumpError(f"Column {name!r} has dtype {dtype}, which JSON has no form for; make it numbers or strings.")


def _kind_of_values(name: str, series: "pd.Series[Any]") -> Kind:
    present = set(map(type, series.dropna()))
    for kind, suits in _VALUE_KINDS:
        if all(suits(type_) for type_ in present):
            return kind
    named = ", ".join(sorted(type_.__name__ for type_ in present))
    raise DumpError(f"Column {name!r} mixes values of type {named}; make them all strings, numbers or booleans.")


_VALUE_KINDS: tuple[tuple[Kind, Any], ...] = (
    ("text", lambda type_: issubclass(type_, str)),
    ("boolean", lambda type_: issubclass(type_, bool | np.bool_)),
    ("integer", lambda type_: issubclass(type_, Integral) and not issubclass(type_, bool)),
    ("number", lambda type_: issubclass(type_, Real) and not issubclass(type_, bool)),
)


def _null_is_none(series: "pd.Series[Any]") -> bool:
    """Whether an object column says null as None rather than NaN, by the greater count."""
    if not types.is_object_dtype(series.dtype):
        return False
    nulls = series[series.isna()]
    return 2 * sum(value is None for value in nulls) > len(nulls)


def _levels(series: "pd.Series[Any]") -> Levels | None:
    dtype = series.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return None
    values = tuple(scalars(dtype.categories.to_series()))
    return Levels(values, str(dtype.categories.dtype), bool(dtype.ordered))


def _string_column(column: Column, series: "pd.Series[Any]", declared: Declarations) -> Column:
    name = column.name
    if name in declared.bounds:
        raise DumpError(f"Column {name!r} holds no numbers; bounds are for numeric columns.")
    seen = [value for value in dict.fromkeys(scalars(series)) if value is not None]
    longest = max((len(str(value)) for value in seen), default=0)
    if name in declared.categories:
        given = declared.categories[name]
        return _closed(column, seen, tuple(given) if given is not None else None)
    if column.levels is not None and name not in declared.text:
        return replace(column, categories=tuple(value for value in column.levels.values if value in set(seen)))
    if name in declared.text or len(seen) > MAX_CATEGORIES or not seen:
        if not all(isinstance(value, str) for value in seen):
            raise DumpError(f"Column {name!r} holds categories that are not strings; it cannot be opened as text.")
        return replace(column, kind="text", longest=longest)
    return _closed(column, seen, None)


def _numeric_column(column: Column, series: "pd.Series[Any]", declared: Declarations) -> Column:
    name = column.name
    if name in declared.text:
        raise DumpError(f"Column {name!r} holds no strings; text is for string columns.")
    present = series.dropna()
    if column.kind == "boolean":
        if name in declared.bounds:
            raise DumpError(f"Column {name!r} holds true and false; bounds are for numeric columns.")
        return column
    if column.kind == "number" and not np.isfinite(present.astype(float)).all():
        raise DumpError(f"Column {name!r} holds infinity, which JSON cannot carry; replace it and fit again.")
    if name in declared.categories:
        seen = [value for value in dict.fromkeys(scalars(series)) if value is not None]
        given = declared.categories[name]
        return _closed(column, seen, tuple(given) if given is not None else None)
    minimum, maximum = declared.bounds.get(name, (None, None))
    outside = ((present < minimum) if minimum is not None else False) | (
        (present > maximum) if maximum is not None else False
    )
    if np.any(outside):
        raise DumpError(f"Column {name!r} has {int(np.sum(outside))} training rows outside its bounds; widen them.")
    return replace(column, minimum=minimum, maximum=maximum)


def _closed(column: Column, seen: Sequence[Scalar], given: tuple[Scalar, ...] | None) -> Column:
    left_out = [value for value in seen if given is not None and value not in given]
    if left_out:
        raise DumpError(f"The categories of {column.name!r} leave out {left_out[0]!r}, which is in the training rows.")
    values = given if given is not None else tuple(sorted(seen))  # type: ignore[type-var]
    return replace(column, kind="category", categories=values)
