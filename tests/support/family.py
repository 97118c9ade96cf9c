"""A transformer in a module of the user."""

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class FamilySize(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Adds the number of relatives aboard to a frame of passengers."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> "FamilySize":
        self.columns_ = list(X.columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return X.assign(Family=X["SibSp"] + X["Parch"])
