"""Charts of a regression's predictions. An error is the predicted minus the true value, as in GET /performance."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from sklearn.metrics import PredictionErrorDisplay

from service.monitoring.intervals import Array
from service.report.style import DARK, GREY, VERMILION, NotDrawable, number_axis
from service.storage.column_cache import Rows

MOST_DOTS = 2_000

_GREATEST = 1e100  # above it, squares and the axes would overflow
_BINS = 40


def actual_and_predicted(rows: Rows) -> Figure:
    """A dot for each labelled row, or the number of rows in each cell of a grid if there are many. Raises NotDrawable
    for numbers that no axis can show."""
    true, predicted = _values(rows)
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    figure = Figure((6.0, 5.2))
    axes = figure.subplots()
    ends = _widened(low, high, 0.03 * (high - low))
    if len(true) <= MOST_DOTS:
        display = PredictionErrorDisplay(y_true=true, y_pred=predicted)
        display.plot(axes, kind="actual_vs_predicted", scatter_kwargs={"s": 16, "alpha": 0.6, "linewidths": 0})
        display.line_.remove()  # it ends at the outermost dots
    else:
        norm = LogNorm(vmin=1)
        counts, *_, cells = axes.hist2d(
            predicted, true, bins=_BINS, range=(ends, ends), cmin=1, cmap="viridis_r", norm=norm
        )
        ticks = 10.0 ** np.arange(np.log10(max(10.0, np.nanmax(counts))) + 1)
        figure.colorbar(cells, ax=axes, label="Predictions per cell", ticks=ticks, format="{x:,.0f}")
    axes.plot(ends, ends, color=GREY, linestyle="--", label="Exact prediction")
    axes.set_aspect("equal", adjustable="box")
    axes.set(xlim=ends, ylim=ends, xlabel="Predicted values", ylabel="Actual values")
    for axis in (axes.xaxis, axes.yaxis):
        number_axis(axis)
    axes.grid()
    figure.legend(loc="outside upper left")
    return figure


def errors(rows: Rows, quantiles: Mapping[str, float | None]) -> Figure:
    """A histogram of the errors of labelled rows, with their quantiles of GET /performance. The outermost bars hold the
    few errors that lie far out. Raises NotDrawable as above."""
    true, predicted = _values(rows)
    values = predicted - true
    least, low, high, most = np.quantile(values, [0.0, 0.005, 0.995, 1.0]).tolist()
    low, high = _widened(max(least, low - (high - low) / 2), min(most, high + (high - low) / 2))
    figure = Figure((6.4, 3.8))
    axes = figure.subplots()
    axes.hist(values.clip(low, high), bins=_BINS, range=(low, high), edgecolor="white")
    axes.axvline(0, color=DARK, linewidth=1)
    for name, value in quantiles.items():
        if value is not None and low <= value <= high:
            median = name == "0.5"
            label = "Median" if median else "5, 25, 75 and 95 % quantiles" if name == "0.05" else None
            axes.axvline(value, color=VERMILION, linestyle="-" if median else ":", linewidth=1.4, label=label)
    beyond = int(((values < low) | (values > high)).sum())
    outside = f" ({beyond:,} beyond the axis, in the outermost bars)" if beyond else ""
    axes.set(xlabel=f"Predicted minus true value{outside}", ylabel="Predictions")
    number_axis(axes.xaxis, 7)
    number_axis(axes.yaxis, 5, integer=True)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _values(rows: Rows) -> tuple[Array, Array]:
    assert rows.target is not None
    if not max(np.abs(rows.target).max(), np.abs(rows.output).max()) < _GREATEST:
        raise NotDrawable("Some values are too large to draw.")
    return rows.target, rows.output


def _widened(low: float, high: float, margin: float = 0.0) -> tuple[float, float]:
    """The range with a margin at both ends; a single value gets a range of some length."""
    margin = margin if low < high else 0.5 * (abs(low) or 1.0)
    return low - margin, high + margin
