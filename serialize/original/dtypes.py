"""The dtypes of the original app. It made a frame of one row of each observation and converted it with
`astype(dtypes)`; here the rows of a file are converted to the same values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_string_dtype, pandas_dtype

from serialize.errors import DumpError, one_line
from serialize.original.files import COLUMNS, DTYPES

Dtypes = Mapping[str, Any]


def dtypes_of(loaded: Any, columns: Sequence[str]) -> Dtypes:
    """The dtype of each column, in the order of `columns`, from the object in dtypes.pickle: a Series or a dict by
    column name. Raises DumpError for another object, and unless exactly these columns have a dtype."""
    if not isinstance(loaded, pd.Series | Mapping):
        raise DumpError(f"{DTYPES} holds a {type(loaded).__name__}; it must be a Series or dict of dtypes by column.")
    by_name = dict(loaded.items())
    if lacking := [name for name in columns if name not in by_name]:
        raise DumpError(f"{DTYPES} has no dtype for the column {lacking[0]!r} of {COLUMNS}.")
    if others := [name for name in by_name if name not in columns]:
        raise DumpError(f"{DTYPES} has a dtype for {others[0]!r}, which is not a column of {COLUMNS}.")
    return {name: _dtype(name, by_name[name]) for name in columns}


def holds_null(dtype: Any) -> bool:
    """Whether a column of this dtype can hold a null."""
    return not isinstance(dtype, np.dtype) or dtype.kind not in "biu"


def is_object(dtype: Any) -> bool:
    """Whether a column of this dtype holds Python objects."""
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def holds_text(dtype: Any) -> bool:
    """Whether a column of this dtype can hold nothing but strings: a dtype of strings, or categories of strings."""
    values = dtype.categories.dtype if _has_levels(dtype) else dtype
    return not is_object(values) and is_string_dtype(values)


def converted(rows: pd.DataFrame, dtypes: Dtypes, source: str) -> pd.DataFrame:
    """The columns of the rows with the dtypes. A null of an object column becomes None, as JSON's null did in the
    original. Raises DumpError, with `source` as the name of the rows, for a value that a dtype cannot hold."""
    return pd.DataFrame({name: _column(rows[name], dtype, source) for name, dtype in dtypes.items()})


def as_original(observation: Mapping[str, Any], dtypes: Dtypes) -> pd.DataFrame:
    """The frame of one row that the original app made of an observation."""
    return pd.DataFrame([observation], columns=list(dtypes)).astype(dict(dtypes))


def _dtype(name: str, dtype: Any) -> Any:
    try:
        return pandas_dtype(dtype)
    except (TypeError, ValueError):
        raise DumpError(f"{DTYPES} has {dtype!r} for the column {name!r}, which is not a dtype of pandas.") from None


def _has_levels(dtype: Any) -> bool:
    return isinstance(dtype, pd.CategoricalDtype) and dtype.categories is not None


def _column(series: "pd.Series[Any]", dtype: Any, source: str) -> "pd.Series[Any]":
    missing = series.isna()
    if missing.any() and not holds_null(dtype):
        raise DumpError(
            f"Column {series.name!r} of {source} has {int(missing.sum())} nulls, which its dtype {dtype} cannot hold; "
            "remove these rows."
        )
    if is_object(dtype):
        return series.astype(object).where(~missing, None)
    _refuse_beyond(series, dtype, source)
    try:
        made: pd.Series[Any] = series.astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise DumpError(
            f"Column {series.name!r} of {source} cannot be converted to {dtype}, its dtype in {DTYPES} "
            f"({one_line(error)}); correct the column."
        ) from error
    if not holds_null(dtype):
        _refuse_changed(series, made, source)
    return made


def _refuse_beyond(series: "pd.Series[Any]", dtype: Any, source: str) -> None:
    """Raises DumpError for a value that is none of the categories of a categorical dtype."""
    if not _has_levels(dtype):
        return
    beyond = series[series.notna() & ~series.isin(dtype.categories)]
    if len(beyond):
        raise DumpError(
            f"Column {series.name!r} of {source} holds {beyond.tolist()[0]!r}, which is none of its categories in "
            f"{DTYPES}; remove these rows."
        )


def _refuse_changed(series: "pd.Series[Any]", made: "pd.Series[Any]", source: str) -> None:
    """Raises DumpError if a conversion to integers or booleans has changed a value, such as 3.7 to 3."""
    changed = series[(series.astype(object) != made.astype(object)).to_numpy()]
    if len(changed):
        raise DumpError(
            f"Column {series.name!r} of {source} holds {changed.tolist()[0]!r}, which its dtype {made.dtype} cannot "
            "hold; correct the column."
        )
