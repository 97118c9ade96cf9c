"""Pipeline steps and estimators in a module of the user, for tests of pickling."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin


class FareShare(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Divides each fare by the mean of the training data, and flags a cabin that is None."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> "FareShare":
        self.mean_ = float(X["fare"].mean())
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            {"share": X["fare"].fillna(0) / self.mean_, "cabin": [value is None for value in X["cabin"]]}
        )


class Claims(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that always returns `proba`, even if it is not a probability; `classes_` is a list."""

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
    """Replaces each null by its repr, so that None and NaN differ."""
    cells = np.asarray(X, dtype=object)
    return np.array([[repr(value) if pd.isna(value) else value for value in row] for row in cells])


def centred(X: Any) -> Any:
    """Wrong for serving: the mean depends on the other rows of the request."""
    return X - np.asarray(X).mean(axis=0)


def shaken(X: Any) -> Any:
    """Wrong for serving: the result is random."""
    return X + np.random.default_rng().normal(size=X.shape)
