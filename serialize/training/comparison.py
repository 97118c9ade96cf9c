"""Whether training data that were kept are exactly those that were given."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd


def first_difference(given: Any, kept: Any, names: Sequence[str]) -> str | None:
    """The first difference between data and the same data read back, as a phrase that names the column, or None. Both
    are a DataFrame, a Series, an array or a list; `names` are those of the columns. Lists are equal if scikit-learn
    makes equal arrays of them."""
    if _kind(given) != _kind(kept):
        return f"it is a {_kind(kept)} instead of a {_kind(given)}"
    if isinstance(given, pd.DataFrame) and list(given.columns) != list(kept.columns):
        return "the names of its columns differ"
    if np.shape(given) != np.shape(kept):
        return f"its shape is {np.shape(kept)} instead of {np.shape(given)}"
    for name, one, other in zip(names, _columns(given), _columns(kept), strict=True):
        if difference := _difference(one, other):
            return f"column {name!r}: {difference}"
    return None


def _kind(data: Any) -> str:
    kinds = {"frame": pd.DataFrame, "series": pd.Series, "list": list | tuple}
    return next((name for name, kind in kinds.items() if isinstance(data, kind)), "array")


def _columns(data: Any) -> list[Any]:
    if isinstance(data, pd.DataFrame):
        return [data[name].reset_index(drop=True) for name in data.columns]
    if isinstance(data, pd.Series):
        return [data.reset_index(drop=True)]
    array = np.asarray(data)
    return [array] if array.ndim == 1 else list(array.T)


def _difference(given: Any, kept: Any) -> str | None:
    if not _same_dtype(given.dtype, kept.dtype):
        return f"its dtype is {kept.dtype} instead of {given.dtype}"
    if given.dtype == object:
        return next((f"{b!r} instead of {a!r}" for a, b in zip(given, kept, strict=True) if not _same(a, b)), None)
    if isinstance(given, pd.Series):
        same = given.equals(kept)
    else:
        same = np.array_equal(given, kept, equal_nan=given.dtype.kind in "fM")
    return None if same else "its values differ"


def _same_dtype(given: Any, kept: Any) -> bool:
    if isinstance(given, pd.CategoricalDtype) and isinstance(kept, pd.CategoricalDtype):
        return given.ordered == kept.ordered and given.categories.identical(kept.categories)
    if isinstance(given, np.dtype) and isinstance(kept, np.dtype) and given.kind == "U":
        return kept.kind == "U"  # the length of the longest text that the array has room for
    if isinstance(given, np.dtype):
        given = given.newbyteorder("=")
    return bool(given == kept)


def _same(given: Any, kept: Any) -> bool:
    """Whether two values of a column of objects are the same, None, NaN, NA and NaT told apart."""
    if type(given) is not type(kept):
        return False
    if pd.isna(given):
        return bool(pd.isna(kept))
    zones = [str(value.tzinfo) for value in (given, kept) if isinstance(value, datetime)]
    return bool(given == kept) and len(set(zones)) < 2
