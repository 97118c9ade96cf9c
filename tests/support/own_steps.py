"""Steps and estimators of a user's own module, for the tests to pickle."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin


class FareShare(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learns a mean in fit, and gives each fare as a share of it, with a flag for a cabin that is None."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> "FareShare":
        self.mean_ = float(X["fare"].mean())
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            {"share": X["fare"].fillna(0) / self.mean_, "cabin": [value is None for value in X["cabin"]]}
        )


class Claims(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that claims one probability, which may be none, for its list of classes."""

    def __init__(self, proba: float = 0.25) -> None:
        self.proba = proba

    def fit(self, X: Any, y: Any) -> "Claims":
        self.classes_ = sorted(set(np.asarray(y).tolist()))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X: Any) -> Any:
        return np.tile([1 - self.proba, self.proba], (len(X), 1))


def nulls_named(X: Any) -> Any:
    """Each null by its own name, so that one null taken for another shows."""
    cells = np.asarray(X, dtype=object)
    return np.array([[repr(value) if pd.isna(value) else value for value in row] for row in cells])


def centred(X: Any) -> Any:
    """Wrong for serving: the mean is of the rows that are asked."""
    return X - np.asarray(X).mean(axis=0)


def shaken(X: Any) -> Any:
    """Wrong for serving: never twice the same."""
    return X + np.random.default_rng().normal(size=X.shape)
