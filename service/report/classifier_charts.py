"""The pictures of a classifier's answers: each a function from figures, which were computed before, to a drawing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from service.report.curves import Bars, Curve
from service.report.style import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    VERMILION,
    canvas,
    count_axis,
    plain,
    share_axes,
    short,
)

_NUMBERED = 10
_NAMED = 40
_MOST_CLASSES = 15


def reliability(bins: Sequence[Mapping[str, Any]], of: str) -> Figure:
    """The share that was true against the mean probability, by bin of the probability, and the rows of each bin. `of`
    says whose probability it is."""
    figure = canvas(5.6, 6.4)
    axes, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    share_axes([axes])
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="as often as said")
    filled = [one for one in bins if one["count"]]
    x, y, low, high = (
        np.array(values, dtype=float)
        for values in zip(
            *((one["mean_proba"], *(one["share"][name] for name in ("value", "low", "high"))) for one in filled),
            strict=True,
        )
    )
    axes.errorbar(x, y, (y - low, high - y), fmt="o-", color=BLUE, capsize=3, label="observed, 95 % interval")
    axes.set_ylabel("share of the labelled that was so")
    figure.legend(loc="outside upper left", ncols=2)
    middles = [(one["from"] + one["to"]) / 2 for one in bins]
    below.bar(middles, [one["count"] for one in bins], width=0.09, color=BLUE)
    count_axis(below)
    below.set_xlabel(f"mean probability of {of}")
    return figure


def curves(roc: Curve, roc_auc: str, precision_recall: Curve, average_precision: str, share: float) -> Figure:
    """ROC and precision-recall, each with its figure; `share` of the labelled were of the positive class."""
    figure = canvas(8.0, 4.4)
    left, right = figure.subplots(1, 2)
    share_axes((left, right))
    left.plot(roc.x, roc.y, color=BLUE)
    left.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="by chance")
    left.set(xlabel="false positive rate", ylabel="true positive rate (recall)", title=f"ROC, area {roc_auc}")
    right.step(precision_recall.x, precision_recall.y, where="pre", color=BLUE)
    right.axhline(share, color=GREY, linestyle="--", label="by chance")
    right.set(xlabel="recall", ylabel="precision", title=f"Precision-recall, average {average_precision}")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left")
    return figure


def scores(groups: Sequence[tuple[str, Bars]], of: str, threshold: float | None) -> Figure:
    """How the probabilities are spread, one panel a group of predictions."""
    figure = canvas(6.4, 0.9 + 1.5 * len(groups))
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, bars), color in zip(panels, groups, (BLUE, VERMILION, GREY), strict=False):
        axes.bar(bars.edges[:-1], bars.counts, width=np.diff(bars.edges), align="edge", color=color, edgecolor="white")
        axes.set_title(f"{name}: {int(bars.counts.sum()):,}")
        count_axis(axes)
        if threshold is not None:
            axes.axvline(threshold, color=DARK, linestyle="--", linewidth=1)
    panels[-1].set(xlim=(-0.01, 1.01))
    panels[-1].set_xlabel(f"probability of {of}" + ("" if threshold is None else f" (dashed: threshold {threshold:g})"))
    return figure


def confusion_matrix(labels: Sequence[Any], counts: Sequence[Sequence[int]]) -> Figure:
    """The true class by row against the predicted one by column; the colour is the share of the true class."""
    table, size = np.array(counts), len(labels)
    whole = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, whole, out=np.zeros(table.shape), where=whole > 0)
    inches = min(8.0, 2.6 + 0.75 * size)
    figure = canvas(inches + 1.4, inches)
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.spines[:].set_visible(False)
    named = size <= _NAMED
    points = 9 if size <= _NUMBERED else 6
    names = [plain(label, 16) for label in labels] if named else []
    upright = all(len(name) <= 6 for name in names) and size <= _NUMBERED
    turned = {"rotation": 0} if upright else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    if size > _NUMBERED:
        turned = {"rotation": 90}
    axes.set_xticks(range(size) if named else [], names, fontsize=points, **turned)
    axes.set_yticks(range(size) if named else [], names, fontsize=points)
    order = "" if named else f" ({size}, in the model's order)"
    axes.set(xlabel=f"predicted class{order}", ylabel=f"true class{order}")
    if size <= _NUMBERED:
        for place, count in np.ndenumerate(table):
            text = f"{short(count)}\n{shares[place]:.0%}"
            color = "white" if shares[place] > 0.55 else DARK
            axes.text(place[1], place[0], text, ha="center", va="center", color=color)
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def classes(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Precision, recall and F1 of each class with their intervals; of many classes those with the most labels."""
    chosen = sorted(found, key=lambda label: -found[label]["labelled"])[:_MOST_CLASSES]
    kept = [label for label in found if label in chosen]
    figure = canvas(8.0, 1.4 + 0.36 * len(kept))
    panels = figure.subplots(1, 3, sharey=True)
    named = zip(panels, ("precision", "recall", "f1"), (BLUE, VERMILION, GREEN), strict=True)
    for axes, name, color in named:
        for place, label in enumerate(kept):
            figure_ = found[label]["metrics"][name]
            if figure_["value"] is not None:
                value, low, high = figure_["value"], figure_["low"], figure_["high"]
                axes.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=color, capsize=3)
        axes.set(xlim=(-0.03, 1.03), title={"f1": "F1"}.get(name, name), xlabel="share, 95 % interval")
        axes.grid(color="#dddddd", linewidth=0.6)
    names = [f"{plain(label)} ({short(found[label]['labelled'])})" for label in kept]
    panels[0].set_yticks(range(len(kept)), names)
    panels[0].set(ylim=(len(kept) - 0.5, -0.5), ylabel="class (labelled)")
    return figure
