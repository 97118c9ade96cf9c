"""Pipeline steps. A pickled pipeline refers to them by module and name, so both must not change."""

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
