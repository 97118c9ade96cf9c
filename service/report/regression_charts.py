"""The pictures of a regression's answers."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from service.intervals import Array
from service.report.curves import MOST_DOTS, Bars
from service.report.style import BLUE, DARK, GREY, VERMILION, canvas, count_axis, short

_CELLS = 40


def predicted_against_true(predicted: Array, true: Array) -> Figure:
    """A dot a row, or of many rows the count in each cell of a grid."""
    figure = canvas(6.0, 5.2)
    axes = figure.subplots()
    low, high = (float(find([predicted.min(), true.min(), predicted.max(), true.max()])) for find in (min, max))
    margin = 0.03 * (high - low) or 0.5 * (abs(low) or 1)
    ends = (low - margin, high + margin)
    if len(true) <= MOST_DOTS:
        axes.plot(true, predicted, "o", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0)
    else:
        counts, x, y = np.histogram2d(true, predicted, bins=_CELLS, range=(ends, ends))
        cells = np.ma.masked_equal(counts.T, 0)
        drawn = axes.pcolormesh(
            x, y, cells, cmap="viridis_r", norm=LogNorm(cells.min(), max(cells.min() + 1, counts.max()))
        )
        bar = figure.colorbar(drawn, ax=axes, label="predictions in a cell")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda number, _: short(number)))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    axes.plot(ends, ends, color=GREY, linestyle="--", label="predicted as it was")
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="true value", ylabel="predicted value")
    axes.locator_params(nbins=6)
    axes.grid(color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def errors(bars: Bars, quantiles: Mapping[str, float | None]) -> Figure:
    """How predicted minus true is spread, with its quantiles."""
    figure = canvas(6.4, 3.8)
    axes = figure.subplots()
    axes.bar(bars.edges[:-1], bars.counts, width=np.diff(bars.edges), align="edge", color=BLUE, edgecolor="white")
    axes.axvline(0, color=DARK, linewidth=1)
    low, high = bars.edges[0], bars.edges[-1]
    for name, value in quantiles.items():
        if value is not None and low <= value <= high:
            median = name == "0.5"
            label = "median" if median else "5, 25, 75 and 95 %" if name == "0.05" else None
            axes.axvline(value, color=VERMILION, linestyle="-" if median else ":", linewidth=1.4, label=label)
    count_axis(axes)
    beyond = f"; the outermost bars hold {bars.beyond:,} beyond" if bars.beyond else ""
    axes.set_xlabel(f"predicted minus true, in units of the value{beyond}")
    axes.locator_params(axis="x", nbins=7)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
