"""What a fitted estimator says to a null and to infinity, found by asking it."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Demands:
    """What an estimator does with a value that is no finite number, and whether it rounds to single precision."""

    refuses_null: bool
    refuses_infinity: bool
    single: bool


def demands_of(estimator: Any, *, single: bool = False) -> Demands:
    """The demands of an estimator of a matrix; `single` is one that rounds to single precision."""
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
