"""The losses of rows are those of scikit-learn, and rows that cannot be compared are refused."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, mean_squared_error

from service.learning.gate.losses import GateError, row_losses

rng = np.random.default_rng(0)
TRUTH = rng.integers(0, 2, 300)
PROBA = rng.random(300)


def test_the_loss_of_a_binary_task_is_the_brier_score_of_the_positive_class() -> None:
    for positive in (0, 1):
        expected = brier_score_loss(TRUTH, PROBA, pos_label=positive)
        assert row_losses("binary", TRUTH, PROBA, positive, "champion").mean() == pytest.approx(expected)


def test_the_loss_of_several_classes_is_the_sum_over_the_classes() -> None:
    truth, outputs = rng.integers(0, 3, 300), rng.dirichlet([1, 1, 1], 300)

    losses = row_losses("multiclass", truth, outputs, 1, "champion")

    assert losses == pytest.approx(((outputs - np.eye(3)[truth]) ** 2).sum(axis=1))


def test_the_loss_of_a_regression_is_the_squared_error() -> None:
    truth, values = rng.normal(size=300), rng.normal(size=300)

    assert row_losses("regression", truth, values, 1, "x").mean() == pytest.approx(mean_squared_error(truth, values))


@pytest.mark.parametrize(
    ("kind", "truth", "outputs", "message"),
    [
        ("binary", [0, 1], [0.5, np.nan], "The output of the challenger is NaN or infinite at 1 place"),
        ("binary", [0, np.nan], [0.5, 0.5], "The truth is NaN or infinite at 1 place"),
        ("binary", [0, 2], [0.5, 0.5], "indices of 2 classes"),
        ("binary", [0, -1], [0.5, 0.5], "indices of 2 classes"),
        ("binary", [0, 0.5], [0.5, 0.5], "indices of 2 classes"),
        ("binary", [0, 1], [[0.5, 0.5], [0.5, 0.5]], r"shape \(2, 2\); expected \(2,\)"),
        ("binary", [0, 1], [0.5], r"shape \(1,\); expected \(2,\)"),
        ("multiclass", [0, 1], [0.5, 0.5], r"shape \(2,\); expected \(2, k\)"),
        ("multiclass", [0, 2], [[0.5, 0.5], [0.5, 0.5]], "indices of 2 classes"),
        ("regression", [0, 1], [np.inf, -np.inf], "infinite at 2 places"),
        ("regression", [0, 1], [1e200, 0], "too large to be squared"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused_by_name(kind: Any, truth: Any, outputs: Any, message: str) -> None:
    with pytest.raises(GateError, match=message):
        row_losses(kind, np.array(truth), np.array(outputs), 1, "challenger")
