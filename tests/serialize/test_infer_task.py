"""The task of a fitted estimator: its kind, labels, positive class and threshold."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from serialize import DumpError
from serialize.infer_task import infer_task
from serialize.task import Task
from tests.support.own_steps import Claims

X = [[0.0], [1.0], [2.0], [3.0]]


def fitted(y: Any) -> LogisticRegression:
    return LogisticRegression().fit(X, y)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([0, 1, 0, 1], (False, True)),
        ([0.0, 1.0, 0.0, 1.0], (False, True)),
        (np.array([True, False, True, False]), (False, True)),
        (pd.Series([0, 1, 0, 1], dtype="Int64"), (False, True)),
        ([1, 2, 1, 2], (1, 2)),
        ([-1, 1, -1, 1], (-1, 1)),
        (["no", "yes", "no", "yes"], ("no", "yes")),
        (pd.Series(["no", "yes", "no", "yes"], dtype="category"), ("no", "yes")),
        ([0, 1, 2, 2], (0, 1, 2)),
        (["a", "b", "c", "c"], ("a", "b", "c")),
    ],
)
def test_labels_have_json_types_and_0_and_1_become_booleans(y: Any, classes: tuple[Any, ...]) -> None:
    task = infer_task(fitted(y))

    assert task.classes == classes
    assert list(map(type, task.classes)) == list(map(type, classes))
    assert task.kind == ("binary" if len(classes) == 2 else "multiclass")


def test_the_defaults_are_the_second_class_and_a_threshold_of_one_half() -> None:
    task = infer_task(fitted(["no", "yes", "no", "yes"]))
    other = infer_task(fitted([0, 1, 0, 1]), positive_class=0, threshold=np.float64(0.25))

    assert (task.positive_class, task.negative_class, task.positive_index, task.threshold) == ("yes", "no", 1, 0.5)
    assert (other.positive_class, other.negative_class, other.positive_index) == (False, True, 0)
    assert (other.threshold, type(other.threshold)) == (0.25, float)


def test_classes_may_be_a_plain_list() -> None:
    assert infer_task(Claims().fit(X, ["a", "b", "a", "b"])).classes == ("a", "b")


def test_a_regressor_has_no_classes() -> None:
    assert infer_task(make_pipeline(StandardScaler(), Ridge()).fit(X, [1.0, 2.0, 3.0, 4.0])) == Task("regression")


def test_a_task_survives_json() -> None:
    task = infer_task(fitted(["no", "yes", "no", "yes"]), threshold=0.3)

    assert Task.from_json({**task.to_json(), "name": "passed over"}) == task


TWO = np.array([[0, 1], [1, 0], [0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("estimator", "options", "says"),
    [
        (LogisticRegression(), {}, "LogisticRegression is not fitted; call its fit"),
        (make_pipeline(StandardScaler(), LogisticRegression()), {}, "Pipeline is not fitted"),
        (GridSearchCV(LogisticRegression(), {"C": [1]}), {}, "GridSearchCV is not fitted"),
        (LogisticRegression, {}, "not a scikit-learn estimator"),
        (object(), {}, "object is not a scikit-learn estimator"),
        (LinearSVC().fit(X, [0, 1, 0, 1]), {}, "no predict_proba.*CalibratedClassifierCV"),
        (StandardScaler().fit(X), {}, "has no predict"),
        (KMeans(2, n_init=1).fit(X), {}, "neither a classifier nor a regressor"),
        (RandomForestClassifier(2).fit(X, [1, 1, 1, 1]), {}, "single class; fit it on rows of at least two"),
        (RandomForestClassifier(2).fit(X, TWO), {}, "several outputs"),
        (fitted([0, 1, 0, 1]), {"threshold": 1.5}, "threshold 1.5 is not a probability; give a number from 0 to 1"),
        (fitted([0, 1, 0, 1]), {"threshold": float("nan")}, "threshold nan"),
        (fitted([0, 1, 0, 1]), {"threshold": "0.5"}, "threshold '0.5'"),
        (fitted([0, 1, 0, 1]), {"positive_class": "yes"}, "'yes' is not a class of the model; the classes are"),
        (fitted([0, 1, 2, 2]), {"threshold": 0.5}, "for two classes; this model has 3"),
        (LinearRegression().fit(X, [1.0, 2.0, 3.0, 4.0]), {"positive_class": 1}, "this model is a regressor"),
    ],
)
def test_an_unusable_estimator_is_refused(estimator: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DumpError, match=says):
        infer_task(estimator, **options)


def test_labels_that_json_cannot_carry_are_refused() -> None:
    model: Any = Claims().fit(X, [0, 1, 0, 1])
    model.classes_ = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")

    with pytest.raises(DumpError, match="make the classes strings, integers or booleans"):
        infer_task(model)
