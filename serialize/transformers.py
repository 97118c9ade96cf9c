"""Steps for pipelines, in a module of their own so that a pickled pipeline can be read where it is served."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder


def null_blind_one_hot(strings: pd.DataFrame) -> OneHotEncoder:
    """A one-hot encoder over the values seen in string columns, to which a null, like an unseen value, is no
    category: all zeros."""
    seen = [np.array(sorted(strings[name].dropna().unique()), dtype=object) for name in strings.columns]
    return OneHotEncoder(categories=seen, handle_unknown="ignore")


def documents(column: pd.DataFrame) -> list[str]:
    """One column of strings, of shape (n, 1), as the list of n documents that a text vectorizer takes; a null is an
    empty document."""
    values: list[Any] = np.asarray(column, dtype=object).reshape(-1).tolist()
    return ["" if pd.isna(value) else str(value) for value in values]
