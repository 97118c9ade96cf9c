"""Frames and series of other libraries, such as polars and Arrow, as pandas objects with the same names and types.

Neither polars nor pyarrow is imported here unless the data came from it."""

from typing import Any

import numpy as np
import pandas as pd

from serialize.errors import DumpError


def as_pandas(data: Any) -> Any:
    """A frame or series of another library as a DataFrame or a Series; anything else unchanged.

    polars is converted column by column, because its own conversion needs pyarrow. Any other object is converted by its
    method `to_pandas`, or through the Arrow PyCapsule interface. Raises DumpError for a lazy frame, and for an object
    that needs pyarrow if that is not installed."""
    if not is_foreign(data):
        return data
    if _is_polars(data):
        return _from_polars(data)
    return data.to_pandas() if hasattr(data, "to_pandas") else _from_arrow(data)


def is_foreign(data: Any) -> bool:
    """Whether the data are a frame or series of another library than pandas."""
    if isinstance(data, pd.DataFrame | pd.Series):
        return False
    return _is_polars(data) or hasattr(data, "to_pandas") or hasattr(data, "__arrow_c_stream__")


def take(data: Any, rows: "np.ndarray[Any, Any]") -> Any:
    """The rows at these places of training data in any form: of pandas, polars and Arrow in the same form, of a list
    as an array, of other frames as a pandas object."""
    if _is_polars(data):
        return data[rows]
    if is_foreign(data) and hasattr(data, "take"):
        return data.take(rows)
    data = as_pandas(data)
    return data.iloc[rows] if isinstance(data, pd.DataFrame | pd.Series) else np.asarray(data)[rows]


def _is_polars(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "polars"


def _from_polars(data: Any) -> Any:
    match type(data).__name__:
        case "Series":
            return _column(data)
        case "DataFrame":
            return pd.DataFrame({column.name: _column(column) for column in data.get_columns()})
        case "LazyFrame":
            raise DumpError("The data are a polars LazyFrame; call its collect() and pass the DataFrame.")
        case name:
            raise DumpError(f"The data are a polars {name}; pass a polars DataFrame or Series.")


def _column(column: Any) -> "pd.Series[Any]":
    """A polars column as a Series: nullable dtypes for integers and booleans with nulls, and objects for strings and
    dates, which are the values that scikit-learn reads from polars."""
    dtype, has_nulls = type(column.dtype).__name__, column.null_count() > 0
    is_integer = column.dtype.is_integer() and not dtype.endswith("128")  # numpy has no such integers
    is_float = column.dtype.is_float()
    values: Any
    if dtype == "Datetime":
        values = pd.DatetimeIndex(column.to_numpy())
        if column.dtype.time_zone is not None:
            values = values.tz_localize("UTC").tz_convert(column.dtype.time_zone)
    elif dtype in ("Categorical", "Enum"):
        levels = column.dtype.categories if dtype == "Enum" else column.drop_nulls().unique().cast(str).sort()
        values = pd.Categorical(column.to_list(), categories=pd.Index(levels.to_list(), dtype="str"))
    elif has_nulls and (is_integer or dtype == "Boolean"):
        values = pd.array(column.to_list(), dtype=dtype if is_integer else "boolean")
    elif is_integer or is_float or dtype in ("Boolean", "Duration"):
        values = column.to_numpy()
    else:
        return pd.Series(column.to_list(), name=column.name, dtype=object)
    return pd.Series(values, name=column.name)


def _from_arrow(data: Any) -> Any:
    try:
        import pyarrow  # noqa: PLC0415 - only needed for data that come through Arrow
    except ImportError:
        raise DumpError(
            f"The data are a {type(data).__name__}, which needs pyarrow; install it, or pass a pandas DataFrame."
        ) from None
    return pyarrow.table(data).to_pandas()
