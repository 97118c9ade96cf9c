"""The metrics of multiclass and regression tasks are those of scikit-learn, with intervals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn import metrics as skm

from serialize.task import Task
from service.monitoring.intervals import MetricValue
from service.monitoring.task_metrics import task_metrics
from service.storage.column_cache import Rows

TASK = Task("multiclass", ("a", "b", "c", "d"))


def rows(truth: list[int], predicted: list[int]) -> Rows:
    """Labelled rows, each predicted with a probability of 0.5."""
    half, none = np.full(len(truth), 0.5), np.zeros(len(truth), np.int64)
    return Rows(np.arange(len(truth)), none, none, none, np.array(predicted), np.array(truth), half, half)


@pytest.mark.parametrize("classes", [4, 3, 2])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:.*ill-defined")
def test_unused_classes_are_left_out_as_in_scikit_learn(classes: int) -> None:
    drawn = np.random.default_rng(classes)
    truth, predicted = (drawn.integers(0, classes, 40).tolist() for _ in range(2))
    predicted = [3 if i == 7 else place for i, place in enumerate(predicted)]
    truth[7] = truth[7] if classes == 2 else 3  # a class of one row

    found = task_metrics(TASK, rows(truth, predicted)).metrics

    expected = {
        "accuracy": skm.accuracy_score(truth, predicted),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, predicted),
        "precision_macro": skm.precision_score(truth, predicted, average="macro"),
        "recall_macro": skm.recall_score(truth, predicted, average="macro"),
        "f1_macro": skm.f1_score(truth, predicted, average="macro"),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-12)


def test_predictions_that_are_all_right_still_have_an_interval() -> None:
    found = task_metrics(TASK, rows([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2])).metrics

    for name in ("balanced_accuracy", "precision_macro", "recall_macro", "f1_macro"):
        figure = found[name]
        assert (figure.value, figure.high) == (1.0, 1.0)
        assert figure.low is not None
        assert 0.4 < figure.low < 0.9


def test_a_class_is_calibrated_if_its_probability_is_the_share_that_is_right() -> None:
    predicted = replace(rows([0, 1, 2, 3, 0], [0, 1, 2, 3, 1]), output=np.full(5, 0.9))

    found = task_metrics(TASK, predicted).metrics["expected_calibration_error"]

    assert found.value == pytest.approx(0.1)


def numbers(truth: list[float], output: list[float]) -> Rows:
    """Labelled rows of a regression."""
    none = np.zeros(len(truth), np.int64)
    return Rows(np.arange(len(truth)), none, none, none, none, none, np.array(output), np.array(truth))


def test_r2_has_the_interval_of_the_jackknife() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    output = 0.2 * truth + rng.normal(size=400, scale=0.3) + 0.1
    count = len(truth)

    found = task_metrics(Task("regression"), numbers(truth.tolist(), output.tolist())).metrics["r2"]

    # Leaving out one row at a time (Tukey 1958), of which the infinitesimal jackknife is the limit.
    others = ~np.eye(count, dtype=bool)
    left = np.array([skm.r2_score(truth[kept], output[kept]) for kept in others])
    error = np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    half = error * student.ppf(0.975, count - 1)
    assert found.value == pytest.approx(skm.r2_score(truth, output), abs=1e-12)
    assert found.low == pytest.approx(found.value - half, abs=0.03 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.03 * half)


def test_r2_is_at_most_one_and_without_a_spread_it_is_not_defined() -> None:
    near = task_metrics(Task("regression"), numbers([1.0, 2.0, 3.0], [1.5, 2.0, 2.9])).metrics["r2"]
    exact = task_metrics(Task("regression"), numbers([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])).metrics["r2"]

    assert near.value is not None
    assert near.low is not None
    assert near.low < 0.5 < near.value < 1.0 == near.high
    assert exact == MetricValue(1.0, 1.0, 1.0)
    for truth in ([2.0, 2.0, 2.0], [2.0]):
        assert task_metrics(Task("regression"), numbers(truth, [1.0] * len(truth))).metrics["r2"] == MetricValue()
