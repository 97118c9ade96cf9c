"""What estimators refuse, and how they round their input: found by trying."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np


def is_null(value: Any) -> bool:
    """Whether a value is a missing value of some library: None, NaN or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True, slots=True)
class Demands:
    """Whether an estimator refuses nulls and infinity, and whether it rounds its input to single precision."""

    refuses_null: bool
    refuses_infinity: bool
    single: bool


def demands_of(estimator: Any, *, single: bool = False) -> Demands:
    """The demands of a fitted estimator, found by trying; `single` if it rounds to single precision."""
    return Demands(_refuses(estimator, np.nan), _refuses(estimator, np.inf), single)


def _refuses(estimator: Any, value: float) -> bool:
    X = np.zeros((1, estimator.n_features_in_))
    X[0, 0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.predict(X)
        except ValueError:
            return True
    return False
