"""Turns training data into JSON observations, and observations back into the input that the pipeline was fitted on.

The input is built column by column with the training dtypes, so that nulls, unseen categories and integers reach the
pipeline as they did in the notebook."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from serialize.errors import DumpError
from serialize.formats.dataframes import as_pandas
from serialize.formats.datetimes import json_text
from serialize.signature import Column, Container, Levels, NullMarker, Scalar, Signature

Row = Mapping[str, Scalar]
Columns = Mapping[str, Sequence[Scalar]]  # n observations: the n values of each column

_UNITS = ("s", "ms", "us", "ns")
_NULLS: Mapping[NullMarker, Any] = {"nan": np.nan, "none": None, "na": pd.NA, "nat": pd.NaT}


def as_table(X: Any, columns: Sequence[str] | None = None) -> tuple[Container, pd.DataFrame]:
    """The training data as a table with named columns, and its container.

    `X` is a DataFrame or a Series of pandas or another library (polars, Arrow), an array of shape (n, k) or (n,), or a
    list of either; a column of an array is called `columns[i]`, or x0, x1, ... Raises DumpError for a shape or for
    names that an observation cannot have."""
    X = as_pandas(X)
    given = [columns] if isinstance(columns, str) else columns
    if isinstance(X, pd.DataFrame):
        if given is not None and list(given) != list(X.columns):
            raise DumpError("X_train is a DataFrame with column names of its own; leave out columns=.")
        return "frame", _checked(X.reset_index(drop=True))
    if isinstance(X, pd.Series):
        name = given[0] if given else X.name if isinstance(X.name, str) else "x0"
        return "series", _checked(X.reset_index(drop=True).to_frame(name))
    array = as_array(X)
    names = list(given) if given is not None else [f"x{i}" for i in range(_width(array))]
    if len(names) != _width(array):
        raise DumpError(f"columns names {len(names)} columns, but X_train has {_width(array)}.")
    parts = [array] if array.ndim == 1 else [array[:, i] for i in range(array.shape[1])]
    table = pd.concat([_array_column(part) for part in parts], axis=1) if parts else pd.DataFrame()
    table.columns = pd.Index(names, dtype=object)
    return "vector" if array.ndim == 1 else "array", _checked(table)


def as_array(X: Any) -> "np.ndarray[Any, Any]":
    """An array, or a list of n values or rows, as the array of shape (n,) or (n, k) that scikit-learn makes of it.
    Raises DumpError for a sparse matrix, for rows of unequal length and for any other number of dimensions."""
    if hasattr(X, "tocsr"):
        raise DumpError("X_train is a sparse matrix; pass the rows as a DataFrame or X_train.toarray().")
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise DumpError(f"X_train is not a table ({error}); give every row the same columns.") from error
    if array.dtype.kind in "US" and not hasattr(X, "dtype"):
        array = np.array(X, dtype=object)
    if array.ndim not in (1, 2):
        raise DumpError(f"X_train has {array.ndim} dimensions; an observation needs (rows, columns) or (rows,).")
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] not in _UNITS:
        raise DumpError(f"X_train has dtype {array.dtype}; convert it with astype('datetime64[s]') and fit again.")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def targets(y_train: Any, rows: int, advice: str) -> "np.ndarray[Any, Any]":
    """The targets as an array of shape (n,). Raises DumpError for another shape, with `advice` for several outputs, for
    another number than the n `rows`, for nulls and for infinity."""
    y = np.asarray(as_pandas(y_train))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        more = f": {advice}" if y.ndim == 2 else ""
        raise DumpError(f"y_train has shape {y.shape}, which is not one target per observation{more}.")
    if len(y) != rows:
        raise DumpError(f"y_train has {len(y)} targets for {rows} rows of X_train.")
    nulls = int(pd.isna(y).sum())
    if nulls:
        raise DumpError(f"y_train has {nulls} nulls; drop those rows and fit again.")
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise DumpError("y_train holds infinity; drop those rows and fit again.")
    return y


def observations(table: pd.DataFrame) -> list[dict[str, Scalar]]:
    """The rows of a table as JSON observations: Python scalars, every missing value None."""
    columns = {str(name): scalars(table[name]) for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def scalars(series: "pd.Series[Any]") -> list[Scalar]:
    """The values of a column as Python scalars, every missing value None."""
    missing = series.isna().to_numpy()
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 8:  # tolist() is far faster
        plain: list[Scalar] = series.to_numpy().tolist()
        return plain if not missing.any() else [None if gone else x for x, gone in zip(plain, missing, strict=True)]
    values = series.astype(object).to_numpy()
    return [None if gone else _scalar(value) for value, gone in zip(values, missing, strict=True)]


def build_input(signature: Signature, rows: Sequence[Row]) -> Any:
    """The input of the pipeline's methods for n rows, in the container and dtypes of its training data: a DataFrame of
    n rows, a Series of n values, an array of shape (n, k), or one of shape (n,)."""
    return build_input_by_column(signature, {name: [row[name] for row in rows] for name in signature.names})


def build_input_by_column(signature: Signature, columns: Columns) -> Any:
    """The same for the n values of each column of the signature."""
    arrays = typed_columns(signature, columns)
    match signature.container:
        case "frame":
            return pd.DataFrame(dict(zip(signature.names, map(_kept, arrays), strict=True)), copy=False)
        case "series":
            return pd.Series(arrays[0], name=signature.names[0], dtype=arrays[0].dtype)
        case "vector":
            return arrays[0]
        case "array":
            return np.column_stack(arrays)


def typed_columns(signature: Signature, columns: Columns) -> list[Any]:
    """The n values of each column of the signature as an array of shape (n,) of NumPy or pandas, with the training
    dtype and the training null."""
    return [_typed(column, list(columns[column.name])) for column in signature]


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    if not len(table) or not len(table.columns):
        raise DumpError("X_train is empty; pass the rows that the pipeline was fitted on.")
    odd = [name for name in table.columns if not isinstance(name, str)]
    if odd:
        raise DumpError(f"Column name {odd[0]!r} is not a string, and JSON keys are strings; rename it.")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DumpError(f"Two columns are called {twice[0]!r}; rename one of them and fit again.")
    return table


def _width(array: "np.ndarray[Any, Any]") -> int:
    return 1 if array.ndim == 1 else int(array.shape[1])


def _array_column(values: "np.ndarray[Any, Any]") -> "pd.Series[Any]":
    kept = object if values.dtype.kind in "OUS" else values.dtype
    return pd.Series(values.tolist() if kept is object else values, dtype=kept)


def _scalar(value: Any) -> Scalar:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, np.longdouble):
        return float(plain)
    if isinstance(plain, date):
        return json_text(plain)
    return str.__str__(plain) if isinstance(plain, str) else plain


def _kept(values: Any) -> Any:
    """The values with their dtype kept: by default pandas converts an object array of strings to `str`."""
    return pd.Series(values, dtype=object) if values.dtype == object else values


def _typed(column: Column, values: list[Scalar]) -> Any:
    """The values of one column with the training dtype and the training null."""
    dtype: Any = column.dtype
    if column.levels is not None:
        return _categorical(column.levels, values)
    if column.datetimes is not None:
        texts = [None if value is None else str(value) for value in values]
        if dtype != "object":
            return column.datetimes.array(texts)
        return _object_array(column.datetimes.objects(texts, _NULLS[column.null]))
    if dtype == "object":
        return _objects(values, _NULLS[column.null])
    if dtype.startswith("<U"):
        return np.array(values, dtype=np.str_) if None not in values else _objects(values, np.nan)
    if dtype == "str":
        dtype = pd.StringDtype(na_value=np.nan)  # the same, but the name takes twice as long
        return pd.array(values, dtype=dtype)
    if dtype not in np.sctypeDict:
        return pd.array(values, dtype=dtype)
    if None not in values or dtype.startswith("float"):
        return np.array(values, dtype=dtype)
    return _objects(values, np.nan) if dtype == "bool" else np.array(values, dtype=float)


def _objects(values: list[Scalar], null: Any) -> "np.ndarray[Any, Any]":
    return _object_array([null if value is None else value for value in values])


def _object_array(values: list[Any]) -> "np.ndarray[Any, Any]":
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _categorical(levels: Levels, values: list[Scalar]) -> Any:
    unseen = [value for value in dict.fromkeys(values) if value is not None and value not in levels.values]
    dtype: Any = levels.dtype
    index = pd.Index([*levels.values, *unseen], dtype=dtype)
    return pd.Categorical(values, dtype=pd.CategoricalDtype(index, ordered=levels.ordered))
