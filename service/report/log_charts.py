"""The pictures of the log: performance over time, how long labels take, and what has drifted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from service.comparison import Counts
from service.report.curves import Bars
from service.report.style import BLUE, DARK, GREY, SERIES, VERMILION, canvas, count_axis, plain

PANELS = 9

_CATEGORIES = 7
_THERE, _HERE = "share of the training rows", "share of the log's rows"
_TICKS = {
    1e-3: "1 ms",
    1e-2: "10 ms",
    0.1: "0.1 s",
    1.0: "1 s",
    10.0: "10 s",
    60.0: "1 min",
    600.0: "10 min",
    3600.0: "1 h",
    21600.0: "6 h",
    86400.0: "1 d",
    604800.0: "1 w",
    2592000.0: "30 d",
    31536000.0: "1 y",
}

Series = Sequence[Mapping[str, Any]]


def over_time(metrics: Sequence[str], series: Mapping[str, Series], training: Mapping[str, float | None]) -> Figure:
    """Metrics by window of time, with their intervals, by model version; the training's as a line."""
    figure = canvas(8.0, 2.4 * len(metrics) + 0.5)
    panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    for axes, metric in zip(panels, metrics, strict=True):
        for (version, windows), (color, marker) in zip(series.items(), SERIES, strict=False):
            _line(axes, metric, windows, version, color, marker)
        if training.get(metric) is not None:
            axes.axhline(training[metric] or 0.0, color=DARK, linestyle="--", linewidth=1, label="training")
        axes.set_ylabel(metric.replace("_", " "))
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.margins(y=0.1)
        if not any(one["metrics"][metric]["value"] is not None for windows in series.values() for one in windows):
            _say(axes, "not defined by the rows of any window")
    panels[-1].set_xlim(*_span([one for windows in series.values() for one in windows]))
    locator = AutoDateLocator(tz=UTC, minticks=3, maxticks=8)
    panels[-1].xaxis.set_major_locator(locator)
    panels[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    panels[-1].set_xlabel("answered at (UTC); bars are 95 % intervals")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, title="model version")
    return figure


def _line(axes: Axes, metric: str, windows: Series, version: str, color: str, marker: str) -> None:
    known = [one for one in windows if one["metrics"][metric]["value"] is not None]
    times = [datetime.fromisoformat(one["from"]) for one in known]
    middles = [time + (datetime.fromisoformat(one["to"]) - time) / 2 for time, one in zip(times, known, strict=True)]
    found = [one["metrics"][metric] for one in known]
    value = np.array([one["value"] for one in found], dtype=float)
    low, high = (
        np.array([one["value"] if one[end] is None else one[end] for one in found], dtype=float)
        for end in ("low", "high")
    )
    style = {"color": color, "marker": marker, "markersize": 4, "linewidth": 1, "elinewidth": 0.8, "capsize": 2}
    axes.errorbar(middles, value, (value - low, high - value), label=version, **style)  # type: ignore[arg-type]


def _span(windows: Series) -> tuple[datetime, datetime]:
    """From the first window's beginning to the last one's end, with room at both sides."""
    first = min(datetime.fromisoformat(one["from"]) for one in windows)
    last = max(datetime.fromisoformat(one["to"]) for one in windows)
    room = (last - first) / 30
    return first - room, last + room


def _say(axes: Axes, sentence: str) -> None:
    axes.text(0.5, 0.25, sentence, ha="center", va="center", transform=axes.transAxes, color=DARK)


def label_delay(bars: Bars, median: float, most: float) -> Figure:
    """How long after its answer a label came, on a logarithmic axis, with the median and the 90th percentile."""
    figure = canvas(6.4, 3.4)
    axes = figure.subplots()
    axes.bar(bars.edges[:-1], bars.counts, width=np.diff(bars.edges), align="edge", color=BLUE, edgecolor="white")
    axes.set_xscale("log")
    low, high = bars.edges[0] / 1.5, bars.edges[-1] * 1.5
    axes.set_xlim(low, high)
    chosen = [tick for tick in _TICKS if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(chosen))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(chosen, [_TICKS[tick] for tick in chosen])
    for value, name, line in ((median, "median", "-"), (most, "90 % have come", ":")):
        axes.axvline(
            max(value, 1e-3), color=VERMILION, linestyle=line, linewidth=1.4, label=f"{name}: {lasting(value)}"
        )
    count_axis(axes, "labels")
    axes.set_xlabel("time from the answer to its label")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def lasting(seconds: float) -> str:
    """A time span in the unit that suits it."""
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{max(0.0, seconds) * 1000:.3g} ms"


def drift(panels: Sequence[tuple[str, Mapping[str, Any], Counts | None]]) -> Figure:
    """Of each column the shares of the rows in the training and here: at most PANELS of them, each by its name with
    its figures."""
    down = -(-len(panels) // 3)
    figure = canvas(9.0, 2.5 * down + 0.5)
    grid = figure.subplots(down, 3, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        _panel(axes, *panel)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    drawn = [axes for axes in grid if axes.get_legend_handles_labels()[0]]
    if drawn:
        figure.legend(*drawn[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def _panel(axes: Axes, name: str, found: Mapping[str, Any], counts: Counts | None) -> None:
    verdict = found["verdict"] or "too few rows"
    changes = f": {', '.join(found['changes'])}" if found["changes"] else ""
    nulls = _nulls(found)
    color = {"drifted": VERMILION, "watch": "#8a6000"}.get(verdict, DARK)
    title = f"{plain(name, 26)}\n{plain(verdict + changes, 48)}" + (f"\n{nulls}" if nulls else "")
    axes.set_title(title, color=color, fontsize=8)
    axes.tick_params(labelsize=7)
    if found["kind"] == "text":
        axes.set_xlabel("length in characters", fontsize=7)
    if counts is None or not counts.live.sum() or not counts.reference.sum():
        _say(axes, "no values to show")
        axes.set(xticks=[], yticks=[])
    elif counts.edges is not None:
        _bins(axes, counts, counts.edges)
    else:
        _categories(axes, counts)


def _nulls(found: Mapping[str, Any]) -> str:
    if found.get("null_rate") is None or not (found["null_rate"] or found["reference_null_rate"]):
        return ""
    return f"nulls {found['null_rate']:.1%}, in training {found['reference_null_rate']:.1%}"


def _bins(axes: Axes, counts: Counts, edges: Sequence[float]) -> None:
    """Bins of about equal count in the training, drawn equally wide, by their edges."""
    live, reference = counts.live / counts.live.sum(), counts.reference / counts.reference.sum()
    places = np.arange(len(live)) + 0.5
    axes.bar(places, reference, width=0.94, color=GREY, alpha=0.6, label=_THERE)
    axes.bar(places, live, width=0.45, color=BLUE, label=_HERE)
    chosen = np.unique(np.linspace(0, len(live), 4).round().astype(int)) if len(edges) > 1 else [0.5]
    axes.set_xticks(chosen, [f"{edges[int(place)]:.3g}" for place in chosen])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="y", nbins=4)


def _categories(axes: Axes, counts: Counts) -> None:
    """The categories that are most frequent in either, and all others as one."""
    live, reference = counts.live / counts.live.sum(), counts.reference / counts.reference.sum()
    names = [plain(name, 12) for name in counts.names or ()]
    order = np.argsort(-np.maximum(live, reference)[: len(names)], kind="stable")[:_CATEGORIES]
    kept = np.sort(order)
    shown = [names[place] for place in kept.tolist()]
    rest = [1 - float(shares[kept].sum()) for shares in (reference, live)]
    if max(rest) > 1e-9:
        shown.append("(others)")
    sides = (reference, live)
    there, here = (np.append(shares[kept], other)[: len(shown)] for shares, other in zip(sides, rest, strict=True))
    places = np.arange(len(shown))
    axes.barh(places, there, height=0.86, color=GREY, alpha=0.6, label=_THERE)
    axes.barh(places, here, height=0.4, color=BLUE, label=_HERE)
    axes.set_yticks(places, shown)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=4)
