"""The charts of a regression show every row, also those that lie far out."""

from typing import Any

import numpy as np
import pytest

from service.monitoring.intervals import Array
from service.report.regression_charts import MOST_DOTS, actual_and_predicted, errors
from service.report.style import NotDrawable, png
from service.storage.column_cache import Rows

QUANTILES = {"0.05": -1.0, "0.25": -0.5, "0.5": 0.0, "0.75": 0.5, "0.95": 1.0}


def rows(predicted: Array, true: Array) -> Rows:
    ids = np.arange(len(true))
    return Rows(ids, ids, ids, ids * 0, ids * 0, ids * 0, predicted, true)


def test_few_rows_are_dots() -> None:
    true, predicted = np.array([1.0, 2.0, 3650.0]), np.array([1.5, 2.0, 3000.0])

    (axes,) = actual_and_predicted(rows(predicted, true)).axes

    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.column_stack([predicted, true]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted values", "Actual values")
    assert "3,000" in [text.get_text() for text in axes.get_xticklabels()]


def test_many_rows_are_counted_in_cells() -> None:
    true = np.random.default_rng(0).normal(size=MOST_DOTS + 1)

    axes: Any = actual_and_predicted(rows(true + 1, true)).axes[0]

    assert np.ma.filled(axes.collections[0].get_array(), 0).sum() == len(true)


def test_the_outermost_bars_hold_the_errors_that_lie_far_out() -> None:
    predicted = np.append(np.linspace(-1, 1, 998), [1e6, -1e6])

    figure: Any = errors(rows(predicted, np.zeros(1000)), QUANTILES)

    axes = figure.axes[0]
    assert sum(axes.containers[0].datavalues) == 1000
    assert "2 beyond the axis" in axes.get_xlabel()
    assert -3 < axes.get_xlim()[0] < axes.get_xlim()[1] < 3


@pytest.mark.parametrize("value", [0.0, 5.0, -2.0, 1e20, 1e99])
def test_values_that_are_all_equal_are_drawn(value: float) -> None:
    same = rows(np.full(3, value), np.zeros(3))

    assert png(actual_and_predicted(same))
    assert png(actual_and_predicted(rows(np.full(3, value), np.full(3, value))))
    figure: Any = errors(same, {"0.5": value})
    assert sum(figure.axes[0].containers[0].datavalues) == 3
    assert png(figure)


def test_numbers_that_no_axis_shows_are_refused() -> None:
    with pytest.raises(NotDrawable, match="too large"):
        actual_and_predicted(rows(np.array([0.0]), np.array([-1e101])))
