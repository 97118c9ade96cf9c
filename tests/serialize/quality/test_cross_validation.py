"""Held-out figures equal those of scikit-learn, and their method says how they were made and why there are fewer."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from serialize import DumpError, cross_validate
from serialize.infer_task import infer_task
from serialize.quality.cross_validation import NotCrossValidated, in_sample

RNG = np.random.default_rng(1)
X = pd.DataFrame({"signal": RNG.normal(size=100), "noise": RNG.normal(size=100)})
Y = (X["signal"] + RNG.normal(scale=0.5, size=100) > 0).to_numpy()
FITTED = LogisticRegression().fit(X, Y)


def test_each_row_is_scored_by_a_model_not_fitted_on_it() -> None:
    calls: list[int] = []

    found = cross_validate(LogisticRegression(), X, Y, threshold=0.3, done=lambda: calls.append(1))

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    held_out = cross_val_predict(LogisticRegression(), X, Y, cv=folds, method="predict_proba")[:, 1]
    assert found["method"] == "5-fold cross-validation"
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean((held_out >= 0.3) == Y))
    assert found["metrics"]["roc_auc"]["std"] > 0
    assert len(calls) == 5


@pytest.mark.parametrize(
    ("X", "y", "pipeline"),
    [
        (X.to_numpy(), Y.astype(int).tolist(), LogisticRegression()),
        (load_iris().data, load_iris().target_names[load_iris().target], LogisticRegression(max_iter=1000)),
        (X, X["signal"] * 2, Ridge()),
        (X, pd.Series(Y, dtype="boolean").astype("Int64"), LogisticRegression()),
        (X, np.where(Y, "yes", "no").astype(object), RandomForestClassifier(5, random_state=0)),
        (["good day", "bad night"] * 10, [1, 0] * 10, make_pipeline(TfidfVectorizer(), LogisticRegression())),
    ],
)
def test_every_container_and_task_is_cross_validated(X: Any, y: Any, pipeline: Any) -> None:
    found = cross_validate(pipeline, X, y)

    assert found["method"] == "5-fold cross-validation"
    assert found["metrics"].get("accuracy", found["metrics"].get("r2"))["mean"] > 0.7


@pytest.mark.parametrize(
    ("y", "model", "baseline"),
    [(Y, LogisticRegression(), DummyClassifier()), (X["signal"] * 2, Ridge(), DummyRegressor())],
)
def test_the_baseline_ignores_the_columns_and_has_the_same_metrics(y: Any, model: Any, baseline: Any) -> None:
    found = cross_validate(model, X, y)

    assert found["baseline"] == cross_validate(baseline, X, y)["metrics"]
    assert found["baseline"].keys() <= found["metrics"].keys()
    assert found["baseline"] != found["metrics"]


def test_a_splitter_and_index_pairs_are_taken_as_in_scikit_learn() -> None:
    expected = cross_val_score(LogisticRegression(), X, Y, cv=TimeSeriesSplit(4))

    by_splitter = cross_validate(LogisticRegression(), X, Y, cv=TimeSeriesSplit(4))
    by_pairs = cross_validate(LogisticRegression(), X, Y, cv=iter(list(TimeSeriesSplit(4).split(X))))

    assert by_splitter["method"] == by_pairs["method"] == "4-fold cross-validation"
    assert by_splitter["splitter"] == "TimeSeriesSplit"
    assert by_splitter["metrics"] == by_pairs["metrics"]
    assert by_splitter["metrics"]["accuracy"]["mean"] == pytest.approx(expected.mean())


@pytest.mark.parametrize("model", [DecisionTreeClassifier(random_state=0), Ridge()])
@pytest.mark.parametrize("cv", [None, 4, GroupKFold(5)])
def test_the_rows_of_a_group_are_never_in_training_and_test(model: Any, cv: Any) -> None:
    """Each group has a label of its own, so that a model which knows the group is right and another one is not."""
    groups = np.repeat(np.arange(40), 5)
    X, y = RNG.normal(size=(40, 3))[groups], RNG.permutation([0, 1] * 20)[groups]

    found = cross_validate(model, X, y, cv=cv, groups=groups)["metrics"]

    assert found.get("accuracy", {"mean": 0})["mean"] < 0.75
    assert found.get("r2", {"mean": 0})["mean"] < 0.2
    if cv is None and "accuracy" in found:
        assert cross_validate(model, X, y)["metrics"]["accuracy"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("y", "groups", "method"),
    [
        (["a"] * 10 + ["b"] * 3, None, "3-fold cross-validation (of 5; class b has 3 rows)"),
        (["a", "b"] * 10, [1, 2, 3, 3] * 5, "3-fold cross-validation (of 5; the data has 3 groups)"),
    ],
)
def test_few_rows_of_a_class_or_few_groups_make_fewer_folds(y: list[str], groups: Any, method: str) -> None:
    assert cross_validate(GaussianNB(), X[: len(y)], y, groups=groups)["method"] == method


def test_few_rows_make_fewer_folds_of_a_regression() -> None:
    method = cross_validate(Ridge(), X[:3], [1.0, 2.0, 3.0])["method"]

    assert method == "3-fold cross-validation (of 5; the data has 3 rows)"


class Slow(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Sleeps in fit."""

    def fit(self, X: Any, y: Any) -> "Slow":
        time.sleep(0.2)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(("seconds", "folds"), [(0, 1), (0.3, 2)])
def test_no_fold_is_begun_after_the_time_limit(seconds: float, folds: int) -> None:
    found = cross_validate(Slow(), X, Y, cv_seconds=seconds)

    assert found["method"] == (f"{folds}-fold cross-validation (of 5; the time limit of {seconds:g} s was reached)")
    assert ("std" in found["metrics"]["accuracy"]) == (folds > 1)


@pytest.mark.parametrize(
    ("pipeline", "y", "reason"),
    [
        (FrozenEstimator(FITTED), Y, "frozen and is not fitted again"),
        (make_pipeline(StandardScaler(), FrozenEstimator(FITTED)), Y, "frozen"),
        (CalibratedClassifierCV(FrozenEstimator(FITTED)), Y, "frozen"),
        (StackingClassifier([("one", FrozenEstimator(FITTED))], FITTED), Y, "frozen"),
        (StackingClassifier([("one", FITTED)], FITTED, cv="prefit"), Y, "NotFittedError"),
        (LogisticRegression(C=-1), Y, "InvalidParameterError: The 'C' parameter"),
        (LogisticRegression(), ["a"] * 10 + ["b"], "class b has 1 row"),
    ],
)
def test_what_cannot_be_fitted_again_is_refused_with_the_reason(pipeline: Any, y: Any, reason: str) -> None:
    with pytest.raises(NotCrossValidated, match=reason) as refused:
        cross_validate(pipeline, X[: len(y)], y)
    assert len(refused.value.reason) <= 150


def test_a_fold_without_a_class_of_the_model_gives_it_no_probability() -> None:
    y = np.array([0] * 20 + [1] * 40 + [2] * 40)

    found = cross_validate(GaussianNB(), X, y, cv=TimeSeriesSplit(4))

    assert found["method"] == "4-fold cross-validation"
    assert found["metrics"]["accuracy"]["mean"] < 1


def test_a_fold_that_fails_is_left_out_and_counted() -> None:
    y = np.array([0] * 30 + [0, 1] * 35)

    found = cross_validate(LogisticRegression(), X, y, cv=TimeSeriesSplit(4))

    assert found["method"].startswith("3-fold cross-validation (of 4; 1 failed: ValueError: This solver needs")


def test_a_metric_that_some_folds_do_not_define_has_its_number_of_folds() -> None:
    y = np.array([0, 1] * 40 + [1] * 20)

    found = cross_validate(LogisticRegression(), X, y, cv=TimeSeriesSplit(4))["metrics"]

    assert found["roc_auc"]["folds"] == 3
    assert "folds" not in found["accuracy"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cv": 1}, "cv=1 is not a number of folds"),
        ({"cv": "five"}, "cv cannot split these rows"),
        ({"cv": GroupKFold(3)}, "cv cannot split these rows .*'groups' parameter should not be None"),
        ({"cv": StratifiedKFold(90)}, "cv cannot split these rows"),
        ({"groups": [1, 2]}, "cv cannot split these rows"),
        ({"threshold": 2}, "threshold 2 is not a probability"),
    ],
)
def test_arguments_that_cannot_split_the_rows_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DumpError, match=says):
        cross_validate(LogisticRegression(), X, Y, **options)


def test_in_sample_metrics_name_their_method() -> None:
    found = in_sample(infer_task(FITTED), Y, FITTED.predict_proba(X))

    assert found["method"] == "in-sample"
    assert found["metrics"]["accuracy"] == {"mean": pytest.approx(FITTED.score(X, Y))}
    assert in_sample(infer_task(FITTED), Y, FITTED.predict_proba(X), reason="why")["method"] == "in-sample (why)"
