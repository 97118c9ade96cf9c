"""A pipeline with a part that stays as it is when the pipeline is fitted again is refused by the name of that part."""

from typing import Any, Self

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from serialize import DumpError
from serialize.estimators import PairClassifier
from serialize.training.refit import refit
from serialize.training.refusal import refusal
from tests.serialize.training.support import artifact_of

X = np.arange(20.0).reshape(10, 2)
Y = np.array([0, 1] * 5)
LOGISTIC = LogisticRegression().fit(X, Y)
SCALER = StandardScaler().fit(X)


class Itself(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Is its own clone."""

    def __sklearn_clone__(self) -> Self:
        return self

    def fit(self, X: Any, y: Any) -> Self:
        return self


class Copied(Itself):
    """Keeps its fit in a clone."""

    def __sklearn_clone__(self) -> Self:
        copied = type(self)()
        copied.__dict__.update(self.__dict__)
        return copied

    def fit(self, X: Any, y: Any) -> Self:
        self.mean_ = np.mean(X)
        return self


class Doubling(BaseEstimator):  # type: ignore[misc]
    """Changes its argument, which clone refuses."""

    def __init__(self, size: int = 1) -> None:
        self.size = [size]


class Plain:
    """Is no estimator of scikit-learn."""

    def fit(self, X: Any, y: Any) -> Self:
        return self


REFUSED: dict[str, tuple[Any, str]] = {
    "frozen model": (FrozenEstimator(LOGISTIC), r"the model \(FrozenEstimator\) is frozen"),
    "frozen step": (
        make_pipeline(FrozenEstimator(SCALER), LogisticRegression()),
        r'step "frozenestimator" \(FrozenEstimator\) is frozen',
    ),
    "frozen below": (
        make_pipeline(
            make_column_transformer((FrozenEstimator(SCALER), [0, 1])),
            CalibratedClassifierCV(LogisticRegression()),
        ),
        r'step "columntransformer__frozenestimator" \(FrozenEstimator\)',
    ),
    "frozen and calibrated": (
        CalibratedClassifierCV(FrozenEstimator(LOGISTIC)),
        r'step "estimator" \(FrozenEstimator\)',
    ),
    "frozen in a vote": (
        VotingClassifier([("old", FrozenEstimator(LOGISTIC)), ("new", LogisticRegression())], voting="soft"),
        r'step "old" \(FrozenEstimator\)',
    ),
    "frozen in a grid": (
        GridSearchCV(make_pipeline(LOGISTIC), {"logisticregression": [FrozenEstimator(LOGISTIC)]}),
        r'step "param_grid__logisticregression__0" \(FrozenEstimator\)',
    ),
    "prefit stack": (
        StackingClassifier([("old", LOGISTIC)], cv="prefit"),
        r"the model \(StackingClassifier\) is prefit",
    ),
    "prefit selection": (
        make_pipeline(SelectFromModel(LOGISTIC, prefit=True), LogisticRegression()),
        r'step "selectfrommodel" \(SelectFromModel\) is prefit',
    ),
    "prefit threshold": (
        TunedThresholdClassifierCV(LOGISTIC, cv="prefit", refit=False),
        r"the model \(TunedThresholdClassifierCV\) is prefit",
    ),
    "its own clone": (make_pipeline(SCALER, Itself()), r'step "itself" \(Itself\) is the same object after clone'),
    "fitted after clone": (
        make_pipeline(SCALER, Copied().fit(X, Y)),
        r'step "copied" \(Copied\) is still fitted after clone',
    ),
    "no clone": (make_pipeline(Doubling(), LOGISTIC), r'step "doubling" \(Doubling\) cannot be cloned \(RuntimeError'),
    "no estimator": (Plain(), r"the model \(Plain\) cannot be cloned \(TypeError"),
}
ACCEPTED: dict[str, Any] = {
    "pipeline": make_pipeline(make_column_transformer((SCALER, [0, 1])), LOGISTIC),
    "calibrated": CalibratedClassifierCV(LOGISTIC, cv=3),
    "stack": StackingClassifier([("old", LOGISTIC)], cv=3),
    "selection": make_pipeline(SelectFromModel(LOGISTIC), RandomForestClassifier()),
    "search": GridSearchCV(make_pipeline(LOGISTIC), {"logisticregression__C": [1, 2]}),
    "function": make_pipeline(FunctionTransformer(np.log1p), LOGISTIC),
    "passthrough": make_pipeline("passthrough", LOGISTIC),
    "pairs": PairClassifier(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_part_that_would_not_be_fitted_again_is_named(name: str) -> None:
    pipeline, message = REFUSED[name]

    with pytest.raises(DumpError, match=f"^The pipeline cannot be fitted again: {message}"):
        refit(artifact_of(pipeline), X, Y)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_pipeline_that_is_fitted_from_scratch_is_accepted(name: str) -> None:
    assert refusal(ACCEPTED[name]) is None
