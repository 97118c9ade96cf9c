"""The lines and bars of the pictures say what the figures say, in few points."""

import numpy as np
import pytest
from sklearn import metrics as skm

from service.cells import Cells
from service.intervals import Array
from service.report import curves


def drawn(count: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(count)
    proba = generator.random(count).round(3 if count < 10_000 else 9)
    return proba, generator.random(count) < proba


@pytest.mark.parametrize("count", [20, 900])
def test_the_curves_are_those_of_scikit_learn(count: int) -> None:
    proba, truth = drawn(count)

    roc = curves.roc(Cells.of(proba, truth))
    recall = curves.precision_recall(Cells.of(proba, truth))

    false_rate, true_rate, _ = skm.roc_curve(truth, proba, drop_intermediate=False)
    precision, share, _ = skm.precision_recall_curve(truth, proba)
    np.testing.assert_allclose([roc.x, roc.y], [false_rate, true_rate], atol=1e-12)
    np.testing.assert_allclose([recall.x[1:], recall.y[1:]], [share[-2::-1], precision[-2::-1]], atol=1e-12)


def test_a_hundred_thousand_rows_are_a_thousand_points_with_the_same_area() -> None:
    cells = Cells.of(*drawn(100_000))

    roc = curves.roc(cells)

    assert len(roc.x) <= curves.MOST_POINTS
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(cells.figures()["roc_auc"].value, abs=1e-4)


def test_the_steps_of_precision_and_recall_enclose_the_average_precision() -> None:
    cells = Cells.of(*drawn(900))

    line = curves.precision_recall(cells)

    area = (np.diff(line.x) * line.y[1:]).sum()
    assert area == pytest.approx(cells.figures()["average_precision"].value, abs=1e-12)


def test_bars_hold_every_row_and_count_those_that_lie_far_out() -> None:
    true = np.zeros(1000)
    predicted = np.append(np.linspace(-1, 1, 998), [1e6, -1e6])

    bars = curves.errors(predicted, true, 40)

    assert bars.counts.sum() == 1000
    assert bars.beyond == 2
    assert -3 < bars.edges[0] < bars.edges[-1] < 3


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-2.0, -2.0]])
def test_values_that_are_all_alike_have_a_bar(values: list[float]) -> None:
    bars = curves.errors(np.array(values), np.zeros(len(values)), 40)

    assert bars.counts.max() == bars.counts.sum() == len(values)
    assert (np.diff(bars.edges) > 0).all()


def test_a_label_that_came_at_once_or_before_its_answer_has_a_bar() -> None:
    bars = curves.delays(np.array([-5.0, 0.0, 60.0]), 40)

    assert bars.counts.sum() == 3
    assert bars.edges[0] == pytest.approx(1e-3)


def test_numbers_beyond_what_an_axis_shows_are_told() -> None:
    assert curves.drawable(np.array([1e99]), np.array([-5.0]))
    assert not curves.drawable(np.array([0.0]), np.array([-1e101]))
