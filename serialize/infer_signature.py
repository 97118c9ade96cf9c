"""Infers a signature from all training rows and from the user's declarations about the columns."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, tzinfo
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from serialize.declarations import (
    HEADROOM,
    Declarations,
    bounded,
    bounded_datetimes,
    closed,
    is_json_value,
    opened,
)
from serialize.errors import DumpError
from serialize.formats.datetimes import Datetimes, Element
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
        datetimes=_datetimes(name, series) if kind == "datetime" else None,
    )
    if column.datetimes is not None:
        return _datetime_column(column, column.datetimes, series, declared)
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
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        return "datetime"
    if isinstance(dtype, pd.PeriodDtype):
        raise DumpError(f"Column {name!r} holds periods; convert it with .dt.to_timestamp() and fit again.")
    if isinstance(dtype, pd.IntervalDtype):
        raise DumpError(f"Column {name!r} holds intervals; make it strings or two columns of numbers and fit again.")
    if types.is_timedelta64_dtype(dtype):
        raise DumpError(f"Column {name!r} holds timedeltas; convert it with .dt.total_seconds() and fit again.")
    if types.is_string_dtype(dtype) or types.is_object_dtype(dtype):
        return _kind_of_values(name, series)
    raise DumpError(
        f"Column {name!r} has dtype {dtype}, which JSON cannot carry; make it numbers, strings or datetime64."
    )


def _kind_of_values(name: str, series: "pd.Series[Any]") -> ColumnKind:
    present = set(map(type, series.dropna()))
    for kind, suits in _VALUE_KINDS:
        if all(suits(type_) for type_ in present):
            return kind
    named = ", ".join(sorted(type_.__name__ for type_ in present))
    raise DumpError(
        f"Column {name!r} holds values of type {named}; make them all strings, numbers, booleans, dates or datetimes."
    )


_VALUE_KINDS: tuple[tuple[ColumnKind, Any], ...] = (
    ("text", lambda type_: issubclass(type_, str)),
    ("boolean", lambda type_: issubclass(type_, bool | np.bool_)),
    ("integer", lambda type_: issubclass(type_, int | np.integer) and not issubclass(type_, bool)),
    ("number", lambda type_: issubclass(type_, int | float | np.integer | np.floating) and not issubclass(type_, bool)),
    ("datetime", lambda type_: issubclass(type_, date)),
)


def _null(series: "pd.Series[Any]") -> NullMarker:
    """The null of an object column: None, pandas.NA, NaT or NaN, whichever is most frequent."""
    if not types.is_object_dtype(series.dtype):
        return "nan"
    known: dict[int, NullMarker] = {id(None): "none", id(pd.NA): "na", id(pd.NaT): "nat"}
    counts = Counter(known.get(id(value), "nan") for value in series[series.isna()])
    return max(("nan", "none", "na", "nat"), key=lambda marker: counts[marker])


def _levels(series: "pd.Series[Any]") -> Levels | None:
    dtype = series.dtype
    if not isinstance(dtype, pd.CategoricalDtype):
        return None
    values = tuple(scalars(dtype.categories.to_series()))
    odd: list[Any] = [value for value in dtype.categories if isinstance(value, date)]
    odd += [value for value in values if not is_json_value(value)]
    if odd:
        raise DumpError(
            f"Column {series.name!r} has the category {odd[0]!r}, which JSON cannot carry; make it a string and "
            "fit again."
        )
    return Levels(values, str(dtype.categories.dtype), bool(dtype.ordered))


def _datetimes(name: str, series: "pd.Series[Any]") -> Datetimes:
    """What a datetime column holds. Raises DumpError for a zone that has no name, and for objects that differ in type
    or zone."""
    if not types.is_object_dtype(series.dtype):
        return Datetimes(series.dt.unit, _known_zone(name, series.dt.tz))
    present = list(series.dropna())
    kinds = {type(value) for value in present}
    if len(kinds) > 1 or not kinds <= set(_ELEMENTS):
        named = ", ".join(sorted(type_.__name__ for type_ in kinds))
        raise DumpError(f"Column {name!r} holds values of type {named}; make them all dates or all datetimes.")
    element = kinds.pop()
    if element is date:
        return Datetimes("D", None, "date")
    zones = {str(value.tzinfo): value.tzinfo for value in present}
    if len(zones) > 1:
        raise DumpError(
            f"Column {name!r} holds datetimes of several time zones; convert it with pd.to_datetime(..., utc=True) "
            "and fit again."
        )
    return Datetimes("us" if element is datetime else "ns", _known_zone(name, *zones.values()), _ELEMENTS[element])


_ELEMENTS: dict[type, Element] = {date: "date", datetime: "datetime", pd.Timestamp: "Timestamp"}


def _known_zone(name: str, zone: tzinfo | None) -> str | None:
    try:
        return None if zone is None else str(pd.DatetimeTZDtype("ns", str(zone)).tz)
    except (ValueError, TypeError, KeyError):  # a zone without a name, such as one from a file
        raise DumpError(
            f"Column {name!r} has the time zone {zone}, which has no name; convert it with .dt.tz_convert() to one "
            "such as Europe/Berlin and fit again."
        ) from None


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


def _datetime_column(column: Column, datetimes: Datetimes, series: "pd.Series[Any]", declared: Declarations) -> Column:
    name = column.name
    if name in declared.text or name in declared.categories:
        raise DumpError(f"Column {name!r} holds datetimes; text and categories are for other columns.")
    least, greatest = datetimes.limits
    present = [value for value in scalars(series) if value is not None]
    try:
        values = [datetimes.nanoseconds(str(value)) for value in present]
    except ValueError:
        values = [least - 1]
    if any(not least <= value <= greatest for value in values):
        raise DumpError(f"Column {name!r} holds a datetime that JSON cannot carry; it takes {datetimes.expected}.")
    return bounded_datetimes(column, values, declared.bounds[name]) if name in declared.bounds else column


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
