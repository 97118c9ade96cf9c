"""Charts of drift: each column of the observation and each output in the log, beside the training data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serialize.formats.datetimes import short
from service.monitoring.comparison import Counts
from service.report.style import BLUE, DARK, GREY, VERMILION, number, number_axis, plain

MOST_CHARTS = 4

_PANELS = 9
_CATEGORIES = 7
_VERDICTS = ("drifted", "watch", "ok", None)
_TRAINING, _LOG, _OUTSIDE = "Share of training rows", "Share of log rows", "Log rows outside the training data"

Columns = Mapping[str, Mapping[str, Any]]


def drift_charts(columns: Columns, counts: Mapping[str, Counts]) -> Iterator[Callable[[], Figure]]:
    """Charts of the columns of GET /drift, the gravest verdict first, with their counts if there are any."""
    names = sorted(columns, key=lambda name: _VERDICTS.index(columns[name]["verdict"]))[: MOST_CHARTS * _PANELS]
    for start in range(0, len(names), _PANELS):
        yield partial(_panels, {name: columns[name] for name in names[start : start + _PANELS]}, counts)


def _panels(columns: Columns, counts: Mapping[str, Counts]) -> Figure:
    down = -(-len(columns) // 3)
    figure = Figure((9.0, 2.5 * down + 0.5))
    legend: dict[str, Any] = {}
    for place, (name, column) in enumerate(columns.items(), start=1):
        axes = figure.add_subplot(down, 3, place)
        _panel(axes, name, column, counts.get(name))
        legend |= {str(bars.get_label()): bars for bars in axes.containers}
    figure.legend(legend.values(), legend.keys(), loc="outside upper left", ncols=3)
    return figure


def _panel(axes: Axes, name: str, column: Mapping[str, Any], counts: Counts | None) -> None:
    verdict = column["verdict"] or "not tested"
    lines = [plain(name, 30), ": ".join([verdict, *([", ".join(column["changes"])] if column["changes"] else [])])]
    before = column.get("reference_null_rate")
    if before is not None and column["null_rate"] is not None and (column["null_rate"] or before):
        lines.append(f"nulls {column['null_rate']:.1%}, in training {before:.1%}")
    color = {"drifted": VERMILION, "watch": "#8a6000"}.get(verdict, DARK)
    axes.set_title("\n".join(lines), color=color, fontsize=8)
    axes.tick_params(labelsize=7)
    if column["kind"] == "text":
        axes.set_xlabel("length in characters", fontsize=7)
    is_datetime = column["kind"] == "datetime"
    if counts is None or not counts.live.sum() or not counts.reference.sum():
        axes.text(0.5, 0.5, "no values to show", ha="center", transform=axes.transAxes, color=DARK)
        axes.set(xticks=[], yticks=[])
    elif counts.edges is not None:
        _bins(axes, counts, counts.edges, _two_lines if is_datetime else partial(number, digits=3))
    else:
        _categories(axes, counts, [short(name) if is_datetime else plain(name, 12) for name in counts.names or ()])


def _two_lines(seconds: float) -> str:
    return short(seconds).replace("T", "\n")


def _bins(axes: Axes, counts: Counts, edges: Sequence[float], label: Callable[[float], str]) -> None:
    """Bins with about equal counts in training, drawn with equal width. Rows outside them stand at their side."""
    size, total = len(counts.live), counts.live.sum()
    within = counts.live.copy()
    within[0] -= counts.below
    within[-1] -= counts.above
    places = np.arange(size) + 0.5
    axes.bar(places, counts.reference / counts.reference.sum(), width=0.94, color=GREY, alpha=0.6, label=_TRAINING)
    axes.bar(places, within / total, width=0.45, color=BLUE, label=_LOG)
    for rows, place, arrow in ((counts.below, -0.12 * size, "◀ {}"), (counts.above, 1.12 * size, "{} ▶")):
        if rows:
            axes.bar(place, rows / total, width=0.45, color=VERMILION, label=_OUTSIDE)
            text = arrow.format(f"{rows / total:.1%}")
            axes.annotate(text, (place, rows / total), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    ticks = np.unique(np.linspace(0, size, 3).round().astype(int)) if len(edges) > 1 else np.array([0.5])
    axes.set_xticks(ticks, [label(edges[int(tick)]) for tick in ticks])
    number_axis(axes.yaxis, 4, share=True)
    axes.set_ylim(bottom=0)


def _categories(axes: Axes, counts: Counts, names: Sequence[str]) -> None:
    """The most frequent categories; all others of the training as one, and those that it did not have as one."""
    live, reference = counts.live / counts.live.sum(), counts.reference / counts.reference.sum()
    kept = np.sort(np.argsort(-np.maximum(live, reference)[:-1], kind="stable")[:_CATEGORIES])
    shown = [names[place] for place in kept.tolist()]
    there, here = reference[kept], live[kept]
    if len(names) > len(kept):
        shown.append("(other)")
        there, here = np.append(there, 1 - there.sum()), np.append(here, live[:-1].sum() - here.sum())
    axes.barh(np.arange(len(shown)), there, height=0.86, color=GREY, alpha=0.6, label=_TRAINING)
    axes.barh(np.arange(len(shown)), here, height=0.4, color=BLUE, label=_LOG)
    if live[-1]:
        axes.barh(len(shown), live[-1], height=0.4, color=VERMILION, label=_OUTSIDE)
        shown.append("(unseen)")
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    number_axis(axes.xaxis, 4, share=True)
    axes.set_xlim(left=0)
