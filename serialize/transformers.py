"""Pipeline steps. A pickled pipeline refers to them by module and name, so both must not change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder


def null_blind_one_hot(strings: pd.DataFrame) -> OneHotEncoder:
    """A one-hot encoder of the values in string columns; a null and an unseen value become all zeros."""
    seen = [np.array(sorted(strings[name].dropna().unique()), dtype=object) for name in strings.columns]
    return OneHotEncoder(categories=seen, handle_unknown="ignore")


def documents(column: pd.DataFrame) -> list[str]:
    """A column of strings, of shape (n, 1), as the n documents for a text vectorizer; a null is an empty document."""
    values: list[Any] = np.asarray(column, dtype=object).reshape(-1).tolist()
    return ["" if pd.isna(value) else str(value) for value in values]


def datetime_numbers(columns: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Four numbers for each of k columns of dates or datetimes, of shape (n, 4 * k): the days since 1970, the month,
    the weekday (0 for Monday) and the hour, in the time zone of the column; NaN for a null."""
    numbers: list[Any] = []
    for name in columns.columns:
        local = pd.to_datetime(columns[name]).dt.tz_localize(None).astype("datetime64[us]")
        days = (local.to_numpy() - np.datetime64(0, "us")) / np.timedelta64(1, "D")
        numbers += [days, local.dt.month, local.dt.day_of_week, local.dt.hour]
    return np.column_stack([np.asarray(each, dtype=np.float64) for each in numbers])


def known_categories(frame: pd.DataFrame, dtypes: Mapping[str, pd.CategoricalDtype]) -> pd.DataFrame:
    """The frame with the categorical columns of `dtypes` in exactly these categories; any other value becomes a
    null."""
    return frame.assign(
        **{name: frame[name].cat.set_categories(dtype.categories, dtype.ordered) for name, dtype in dtypes.items()}
    )
