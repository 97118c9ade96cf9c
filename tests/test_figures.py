"""The figures of several classes, as scikit-learn has them, and never surer than the rows allow."""

import numpy as np
import pytest
from sklearn import metrics as skm

from serialize.task import Task
from service.figures import figures
from service.ledger import Rows

TASK = Task("multiclass", ("a", "b", "c", "d"))


def rows(truth: list[int], predicted: list[int]) -> Rows:
    """Labelled rows, each answered with a probability of a half."""
    half, none = np.full(len(truth), 0.5), np.zeros(len(truth), np.int64)
    return Rows(np.arange(len(truth)), none, none, none, np.array(predicted), np.array(truth), half, half)


@pytest.mark.parametrize("classes", [4, 3, 2])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:.*ill-defined")
def test_classes_that_are_not_met_are_left_out_as_scikit_learn_does(classes: int) -> None:
    drawn = np.random.default_rng(classes)
    truth, predicted = (drawn.integers(0, classes, 40).tolist() for _ in range(2))
    predicted = [3 if i == 7 else place for i, place in enumerate(predicted)]

    found = figures(TASK, rows(truth, predicted)).metrics

    expected = {
        "accuracy": skm.accuracy_score(truth, predicted),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, predicted),
        "precision_macro": skm.precision_score(truth, predicted, average="macro"),
        "recall_macro": skm.recall_score(truth, predicted, average="macro"),
        "f1_macro": skm.f1_score(truth, predicted, average="macro"),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-12)


def test_answers_that_are_all_right_still_have_an_interval() -> None:
    found = figures(TASK, rows([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2])).metrics

    for name in ("balanced_accuracy", "precision_macro", "recall_macro", "f1_macro"):
        figure = found[name]
        assert (figure.value, figure.high) == (1.0, 1.0)
        assert figure.low is not None
        assert 0.4 < figure.low < 0.9
