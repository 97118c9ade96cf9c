"""Infers a signature from all training rows and from the user's declarations about the columns."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from serialize.declarations import HEADROOM, Declarations, bounded, closed, is_json_value, opened
from serialize.errors import DumpError
from serialize.frame import scalars
from serialize.signature import ORDINARY, Column, ColumnKind, Container, Levels, NullMarker, Scalar, Signature

MAX_CATEGORIES = 20


def infer_signature(container: Container, table: pd.DataFrame, dtype: str | None, declared: Declarations) -> Signature:
    """The signature of a training table; `dtype` is that of the array that the table came from, if it was one.

    Raises DumpError for a declaration that contradicts the rows, or a column that JSON cannot carry."""
    unknown = sorted(declared.names - set(table.columns))
    if unknown:
        raise DumpError(f"{unknown[0]!r} is declared but is not a column; the columns are {', '.join(table.columns)}.")
    for other, names in (("text", declared.text), ("bounds", set(declared.bounds))):
        both = sorted(names & set(declared.categories))
        if both:
            raise DumpError(f"{both[0]!r} is declared both in {other} and in categories; choose one.")
    return Signature(container, tuple(_column(table[name], dtype, declared) for name in table.columns))


def _column(series: "pd.Series[Any]", dtype: str | None, declared: Declarations) -> Column:
    name = str(series.name)
    _refuse_half_characters(name, [name])
    kind = _kind(name, series)
    column = Column(
        name=name,
        kind=kind,
        nullable=bool(series.isna().any()) or name in declared.nullable,
        dtype=dtype or str(series.dtype),
        null=_null(series),
        levels=_levels(series),
    )
    infer = _string_column if kind in ("category", "text") else _numeric_column
    return opened(infer(column, series, declared), declared.accept_unseen)


def _kind(name: str, series: "pd.Series[Any]") -> ColumnKind:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if isinstance(dtype, pd.SparseDtype):
        raise DumpError(f"Column {name!r} is sparse; make it dense and fit again.")
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_integer_dtype(dtype):
        return "integer"
    if types.is_float_dtype(dtype):
        return "number"
    if types.is_string_dtype(dtype) or types.is_object_dtype(dtype):
        return _kind_of_values(name, series)
    raise DumpError(f"Column {name!r} has dtype {dtype}, which JSON cannot carry; make it numbers or strings.")


def _kind_of_values(name: str, series: "pd.Series[Any]") -> ColumnKind:
    present = set(map(type, series.dropna()))
    for kind, suits in _VALUE_KINDS:
        if all(suits(type_) for type_ in present):
            return kind
    named = ", ".join(sorted(type_.__name__ for type_ in present))
    raise DumpError(f"Column {name!r} holds values of type {named}; make them all strings, numbers or booleans.")


_VALUE_KINDS: tuple[tuple[ColumnKind, Any], ...] = (
    ("text", lambda type_: issubclass(type_, str)),
    ("boolean", lambda type_: issubclass(type_, bool | np.bool_)),
    ("integer", lambda type_: issubclass(type_, int | np.integer) and not issubclass(type_, bool)),
    ("number", lambda type_: issubclass(type_, int | float | np.integer | np.floating) and not issubclass(type_, bool)),
)


def _null(series: "pd.Series[Any]") -> NullMarker:
    """The null of an object column: None, pandas.NA or NaN, whichever is most frequent."""
    if not types.is_object_dtype(series.dtype):
        return "nan"
    counts = Counter("none" if value is None else "na" if value is pd.NA else "nan" for value in series[series.isna()])
    return max(("nan", "none", "na"), key=lambda marker: counts[marker])


def _levels(series: "pd.Series[Any]") -> Levels | None:
    dtype = series.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return None
    values = tuple(scalars(dtype.categories.to_series()))
    odd = [value for value in values if not is_json_value(value)]
    if odd:
        raise DumpError(
            f"Column {series.name!r} has the category {odd[0]!r}, which JSON cannot carry; make it a string and "
            "fit again."
        )
    return Levels(values, str(dtype.categories.dtype), bool(dtype.ordered))


def _refuse_half_characters(name: str, values: Iterable[Scalar]) -> None:
    for value in values:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise DumpError(
                f"Column {name!r} holds {value!r}, which is not valid text (half of a surrogate pair); clean it and "
                "fit again."
            ) from None


def _string_column(column: Column, series: "pd.Series[Any]", declared: Declarations) -> Column:
    name = column.name
    if name in declared.bounds:
        raise DumpError(f"Column {name!r} holds no numbers; bounds are for numeric columns.")
    seen = [value for value in dict.fromkeys(scalars(series)) if value is not None]
    _refuse_half_characters(name, seen)
    longest = max((len(str(value)) for value in seen), default=0)
    if name in declared.categories:
        return closed(column, seen, declared.categories[name])
    if column.levels is not None and seen and name not in declared.text:
        return closed(column, seen, None)
    if name in declared.text or len(seen) > MAX_CATEGORIES or not seen:
        if not all(isinstance(value, str) for value in seen):
            raise DumpError(f"Column {name!r} holds categories that are not strings; it cannot accept any text.")
        return replace(column, kind="text", longest=longest)
    return closed(column, seen, None)


def _numeric_column(column: Column, series: "pd.Series[Any]", declared: Declarations) -> Column:
    name = column.name
    if name in declared.text:
        raise DumpError(f"Column {name!r} holds no strings; text is for string columns.")
    if column.kind == "boolean" and name in declared.bounds:
        raise DumpError(f"Column {name!r} holds true and false; bounds are for numeric columns.")
    present: list[Any] = [value for value in scalars(series) if value is not None]
    if column.kind == "number" and not np.isfinite(np.array(present, dtype=float)).all():
        raise DumpError(f"Column {name!r} holds infinity, which JSON cannot carry; replace it and fit again.")
    if column.kind == "number":
        largest = max(map(abs, present), default=0.0)
        column = replace(column, largest=float(largest) if largest > ORDINARY / HEADROOM else None)
    least, greatest = column.limits
    if column.kind == "integer" and any(not least <= value <= greatest for value in present):
        raise DumpError(f"Column {name!r} holds an integer beyond 64 bits; make it a string or a float and fit again.")
    if name in declared.categories:
        return closed(column, list(dict.fromkeys(present)), declared.categories[name])
    return bounded(column, present, declared.bounds[name]) if name in declared.bounds else column
