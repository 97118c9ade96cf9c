"""Pipeline steps and estimators in a module of the user, for tests of pickling."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression


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


def nearly_centred(X: Any) -> Any:
    """Wrong for serving, but only a little."""
    return X + 1e-6 * np.asarray(X).mean(axis=0)


class OwnRule(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A logistic regression whose `predict` does not follow from its probabilities: it depends on the parity of the
    first column, only where that is beyond `only_beyond`; or it always gives `label`. With `of_batch` the probabilities
    depend on the other rows."""

    def __init__(self, only_beyond: float = -np.inf, label: Any = None, of_batch: bool = False) -> None:
        self.only_beyond = only_beyond
        self.label = label
        self.of_batch = of_batch

    def fit(self, X: Any, y: Any) -> "OwnRule":
        self.model_ = LogisticRegression(max_iter=10_000).fit(np.asarray(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: Any) -> Any:
        first = np.asarray(X)[:, 0]
        if self.label is not None:
            return np.full(len(X), self.label)
        own = self.classes_[first.astype(int) % 2]
        return np.where(first > self.only_beyond, own, self.model_.predict(np.asarray(X)))

    def predict_proba(self, X: Any) -> Any:
        numbers = np.asarray(X)
        return self.model_.predict_proba(numbers - numbers.mean(axis=0) if self.of_batch else numbers)


def with_ratio(X: Any) -> Any:
    """The columns of a frame, and the ratio of the first two."""
    return X.assign(ratio=X.iloc[:, 0] / (1 + X.iloc[:, 1].abs()))


def squares_after(X: Any) -> Any:
    """The columns of an array, and their squares."""
    return np.hstack([X, np.square(X)])


class ClippedColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clips each column of an array to its quantiles of the training data."""

    def fit(self, X: Any, y: Any = None) -> "ClippedColumns":
        self.low_, self.high_ = np.quantile(X, [0.02, 0.98], axis=0)
        return self

    def transform(self, X: Any) -> Any:
        return np.clip(X, self.low_, self.high_)


class GroupMeans(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Adds the distance of the number `column` to its mean in the group of the text `by` to a frame, and leaves the
    text out."""

    def __init__(self, column: str = "n3", by: str = "a") -> None:
        self.column = column
        self.by = by

    def fit(self, X: pd.DataFrame, y: Any = None) -> "GroupMeans":
        self.means_ = X.groupby(self.by)[self.column].mean()
        self.overall_ = float(X[self.column].mean())
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        means = X[self.by].map(self.means_).astype(float).fillna(self.overall_)
        return X.drop(columns=self.by).assign(apart=X[self.column] - means)
