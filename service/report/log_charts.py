"""Charts of the log over time: performance by time window and model version, and how long labels take."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from service.report.style import DARK, SERIES, VERMILION, number, number_axis, plain, with_interval
from service.storage.column_cache import Rows

_BARS = 40
_MOST_TICKS = 8
_SHORTEST = 1e-3  # seconds
_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3))
_SHORT = (1e-3, 0.01, 0.1, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200)
_TIMES = ["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]  # ticks at years, months, days, hours, ...
_DAYS = (1, 2, 7, 14, 30, 90, 180, 365, 730, 1825, 3650)

Windows = Sequence[Mapping[str, Any]]


def over_time(
    metrics: Mapping[str, str], series: Mapping[str, Windows], training: Mapping[str, Any], note: str
) -> Figure:
    """Metrics by model version and time window, as in the `series` of GET /performance, and in training as lines;
    `metrics` holds their names with labels. A point stands at the start of its window. A single window has its value
    beside its point."""
    figure = Figure((8.0, 2.4 * len(metrics) + 0.6))
    panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    windows = [each for mine in series.values() for each in mine]
    first, last = min(each["from"] for each in windows), max(each["to"] for each in windows)
    single = all(each["from"] == first for each in windows)
    for axes, (metric, label) in zip(panels, metrics.items(), strict=True):
        for place, (version, mine) in enumerate(series.items()):
            known = [each for each in mine if each["metrics"][metric]["value"] is not None]
            found = [each["metrics"][metric] for each in known]
            places = [place if single else datetime.fromisoformat(each["from"]) for each in known]
            _points(axes, places, found, plain(version), SERIES[place])
            style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "backgroundcolor": "white"}
            for each in found if single else ():
                axes.annotate(with_interval(each, "\n"), (place, each["value"]), (8, 0), fontsize=8, **style)
        if training[metric] is not None:
            axes.axhline(training[metric], color=DARK, linestyle="--", linewidth=1, label="training")
        axes.set_ylabel(label)
        axes.margins(y=0.15)
        axes.grid()
        number_axis(axes.yaxis, 5)
        if not any(each["metrics"][metric]["value"] is not None for each in windows):
            axes.text(0.5, 0.25, "not defined in any window", ha="center", transform=axes.transAxes, color=DARK)
    if single:
        begin, end = (time[:16].replace("T", " ") for time in (first, last))
        panels[-1].set(xlim=(-0.5, len(series) - 0.1), xticks=[], xlabel=f"Predictions from {begin} to {end} UTC")
    else:
        _time_axis(panels[-1], datetime.fromisoformat(first), datetime.fromisoformat(last))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, title=note)
    return figure


def label_delay(rows: Rows, delay: Mapping[str, float]) -> Figure:
    """A histogram of the time from the predictions to their labels on a logarithmic axis, with the median and the
    90th percentile of GET /performance."""
    figure = Figure((6.4, 3.4))
    axes = figure.subplots()
    shown = ((rows.labelled - rows.created) / 1e6).clip(_SHORTEST)
    low, high = float(shown.min()), float(shown.max())
    low, high = (low, high) if high > 1.25 * low else (low / 3, high * 3)
    axes.hist(shown, bins=np.geomspace(low, high, _BARS + 1).tolist(), edgecolor="white")
    axes.set(xscale="log", xlim=(low, high), xlabel="Time from the prediction to its label", ylabel="Labels")
    ticks = [tick for tick in (*_SHORT, *(days * 86400 for days in _DAYS)) if low <= tick <= high]
    ticks = ticks[:: -(-len(ticks) // _MOST_TICKS) or 1]
    axes.set_xticks(ticks, [duration(tick) for tick in ticks])
    axes.minorticks_off()
    for name, text, line in (("median", "Median", "-"), ("p90", "90th percentile", ":")):
        label, place = f"{text}: {duration(delay[name])}", max(delay[name], _SHORTEST)
        axes.axvline(place, color=VERMILION, linestyle=line, linewidth=1.4, label=label)
    number_axis(axes.yaxis, 5, integer=True)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def duration(seconds: float) -> str:
    """A time span in the largest unit that it fills."""
    unit, size = next((each for each in _UNITS if seconds >= each[1]), _UNITS[-1])
    return f"{number(max(0.0, seconds) / size, 3)} {unit}"


def _points(axes: Axes, places: list[Any], found: Windows, label: str, series: tuple[str, str]) -> None:
    value, low, high = (
        np.array([each["value"] if each[name] is None else each[name] for each in found], dtype=float)
        for name in ("value", "low", "high")
    )
    style: dict[str, Any] = {"color": series[0], "marker": series[1], "markersize": 4, "linewidth": 1, "capsize": 2}
    axes.errorbar(places, value, (value - low, high - value), label=label, **style)


def _time_axis(axes: Axes, first: datetime, last: datetime) -> None:
    room = (last - first) / 30
    locator = AutoDateLocator(tz=UTC, minticks=3, maxticks=8)
    axes.set(xlim=(first - room, last + room), xlabel="Time of the prediction (UTC)")
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, UTC, _TIMES, zero_formats=["", *_TIMES[:-1]]))
