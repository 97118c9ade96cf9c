"""Metrics equal those of scikit-learn, and targets are encoded or refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm
from sklearn.linear_model import LogisticRegression

from serialize import DumpError
from serialize.infer_task import infer_task
from serialize.quality.evaluation import encode, score
from serialize.task import Task
from tests.support.own_steps import Claims

RNG = np.random.default_rng(1)
X = pd.DataFrame({"signal": RNG.normal(size=100), "noise": RNG.normal(size=100)})
Y = (X["signal"] + RNG.normal(scale=0.5, size=100) > 0).to_numpy()
BINARY = Task("binary", (False, True), True, 0.3)


def test_binary_metrics_equal_scikit_learn_at_the_threshold() -> None:
    truth, proba = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.2])

    found = score(BINARY, truth, np.column_stack([1 - proba, proba]))

    assert found["accuracy"] == 0.6
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["roc_auc"] == skm.roc_auc_score(truth, proba)
    assert found["log_loss"] == skm.log_loss(truth, proba)
    assert found["brier_score"] == pytest.approx(np.mean((truth - proba) ** 2))


def test_the_positive_class_may_be_the_first() -> None:
    truth, proba = np.array([0, 1, 0]), np.array([0.9, 0.2, 0.8])

    found = score(Task("binary", ("bad", "good"), "bad", 0.5), truth, np.column_stack([proba, 1 - proba]))

    assert (found["accuracy"], found["recall"], found["roc_auc"]) == (1.0, 1.0, 1.0)


def test_an_undefined_metric_is_left_out() -> None:
    found = score(BINARY, np.array([1, 1]), np.array([[0.2, 0.8], [0.9, 0.1]]))

    assert "roc_auc" not in found
    assert "balanced_accuracy" not in found
    assert found["accuracy"] == 0.5


def test_multiclass_metrics_equal_scikit_learn() -> None:
    truth, probas = np.array([0, 1, 2, 2]), np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7], [0.6, 0, 0.4]])

    found = score(Task("multiclass", ("a", "b", "c")), truth, probas)

    assert found["accuracy"] == 0.75
    assert found["f1_macro"] == pytest.approx(skm.f1_score(truth, [0, 1, 2, 0], average="macro"))
    assert found["log_loss"] == skm.log_loss(truth, probas)


def test_regression_metrics_equal_scikit_learn() -> None:
    found = score(Task("regression"), np.array([1.0, 2.0, 4.0]), np.array([[1.0], [3.0], [5.0]]))

    assert found == pytest.approx(
        {"mean_absolute_error": 2 / 3, "root_mean_squared_error": (2 / 3) ** 0.5, "r2": 1 - 6 / 14, "bias": 2 / 3}
    )


def test_probabilities_in_single_precision_and_huge_values_are_scored_without_a_warning() -> None:
    probas = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], dtype="float32").astype(float)

    assert score(Task("multiclass", (1, 2, 3)), np.array([2, 0]), probas)["accuracy"] == 0.5
    assert "r2" in score(Task("regression"), np.array([1.0, 2.0]), np.array([[1.0], [2.5]]))
    assert "root_mean_squared_error" not in score(Task("regression"), np.array([1e300, 0]), np.array([[0], [1e300]]))


def test_labels_of_every_type_are_encoded() -> None:
    model = LogisticRegression().fit(X, Y)

    assert encode(infer_task(model), pd.Series([1, 0], dtype="Int64"), model.classes_).tolist() == [1, 0]
    assert encode(infer_task(model), [True, False], model.classes_).tolist() == [1, 0]


def test_unknown_targets_are_refused() -> None:
    model = LogisticRegression().fit(X, Y)

    with pytest.raises(DumpError, match="'yes', a class that the model was not fitted on"):
        encode(infer_task(model), ["yes"], model.classes_)
    with pytest.raises(DumpError, match="not numbers, but the model is a regressor"):
        encode(Task("regression"), ["yes"])


def test_a_probability_that_rounds_above_one_is_scored_as_one() -> None:
    model = Claims(1 + 1e-12).fit(X, [0, 1] * 50)

    assert score(BINARY, np.array([0, 1]), model.predict_proba(X[:2]))["accuracy"] == 0.5
