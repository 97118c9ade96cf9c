"""The charts of a classifier show scikit-learn's curves and the figures of GET /performance."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as skm

from service.monitoring.intervals import Array
from service.monitoring.score_counts import ScoreCounts
from service.report.classifier_charts import (
    calibration_curve,
    confusion_matrix,
    probabilities,
    roc_and_precision_recall,
)
from service.report.style import NotDrawable, png

METRIC = {"value": 0.8, "low": 0.7, "high": 0.9}
METRICS = {"roc_auc": METRIC, "average_precision": METRIC, "expected_calibration_error": METRIC}


def drawn(count: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(count)
    proba = generator.random(count)
    return proba, generator.random(count) < proba


@pytest.mark.parametrize("count", [20, 20_000])
def test_the_curves_enclose_the_areas_of_the_figures(count: int) -> None:
    proba, truth = drawn(count)
    figures = ScoreCounts.of(proba, truth).metrics()

    left, right = roc_and_precision_recall(truth, proba, METRICS).axes

    (fpr, tpr), (recall, precision) = (axes.lines[0].get_data() for axes in (left, right))
    assert skm.auc(fpr, tpr) == pytest.approx(figures["roc_auc"].value, abs=1e-9)
    area = -(np.diff(recall) * np.asarray(precision)[:-1]).sum()
    assert area == pytest.approx(figures["average_precision"].value, abs=1e-9)
    assert "AUC 0.8 (0.7 to 0.9)" in left.get_title()
    assert left.get_ylabel() == "True Positive Rate"


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_one_class_has_no_curves(truth: list[bool]) -> None:
    with pytest.raises(NotDrawable, match="one class"):
        roc_and_precision_recall(np.array(truth), np.array([0.1, 0.9]), METRICS)


def test_the_calibration_curve_has_the_bins_that_are_filled() -> None:
    proba, truth = np.array([0.12, 0.14, 0.95]), np.array([False, True, True])
    performance: dict[str, Any] = {"metrics": METRICS, "calibration": ScoreCounts.of(proba, truth).calibration()}

    figure: Any = calibration_curve(performance, "class yes")

    np.testing.assert_allclose(figure.axes[0].lines[1].get_xydata(), [[0.13, 0.5], [0.95, 1.0]])
    assert figure.axes[0].get_ylabel() == "Observed frequency"
    assert figure.axes[0].get_title().startswith("Expected calibration error 0.")
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in figure.axes[1].patches]
    np.testing.assert_allclose(bars, [(0.15, 2), (0.95, 1)])
    assert figure.axes[1].get_xlabel() == "Mean predicted probability of class yes"


def test_every_prediction_is_in_a_bar_and_a_group_without_any_has_no_panel() -> None:
    groups = {"yes": np.array([0.0, 0.5, 1.0]), "no": np.array([]), "no label yet": np.array([0.2])}

    figure: Any = probabilities(groups, "class yes", 0.5)

    assert [axes.get_title() for axes in figure.axes] == ["yes: 3", "no label yet: 1"]
    assert [sum(axes.containers[0].datavalues) for axes in figure.axes] == [3, 1]


def test_the_cells_of_the_confusion_matrix_hold_counts_and_shares_of_the_row() -> None:
    figure = confusion_matrix(["cat", "dog", "日本語"], [[3, 1, 0], [0, 0, 0], [0, 12_345, 5]])

    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:2] == ["3\n75%", "1\n25%"]
    assert texts[3] == "0\n0%"
    assert texts[7] == "12,345\n100%"
    assert figure.axes[0].get_ylabel() == "True label"
    assert len(figure.axes) == 2  # the matrix, and one bar with its colours
    assert not any(spine.get_visible() for spine in figure.axes[0].spines.values())


@pytest.mark.parametrize(("size", "names"), [(12, 12), (60, 0)])
def test_a_matrix_of_many_classes_has_no_text_in_its_cells(size: int, names: int) -> None:
    labels = [f"a long name of class {place}" for place in range(size)]

    figure = confusion_matrix(labels, np.eye(size, dtype=int).tolist())

    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_xticklabels()) == names
    assert len({text.get_text() for text in figure.axes[0].get_yticklabels()}) == names
    assert len(png(figure)) < 200_000
