"""Charts of a classifier's predictions. scikit-learn draws the curves; figures and intervals come from the answer of
GET /performance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as skm
from sklearn.calibration import CalibrationDisplay

from service.monitoring.intervals import Array
from service.report.style import BLUE, DARK, GREY, VERMILION, NotDrawable, number, number_axis, plain, with_interval

_BINS = 20
_WRITTEN = 10  # most classes for which the cells of the confusion matrix hold text
_NAMED = 40  # most classes for which its axes name them


def calibration_curve(performance: Mapping[str, Any], of: str) -> Figure:
    """The observed frequency by bin of the predicted probability, and the predictions per bin, of GET /performance.
    `of` says whose probability it is."""
    figure = Figure((5.6, 6.4))
    axes, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    bins = [each for each in performance["calibration"]["bins"] if each["count"]]
    proba = np.array([each["mean_proba"] for each in bins])
    value, low, high = (np.array([each["share"][name] for each in bins]) for name in ("value", "low", "high"))
    CalibrationDisplay(value, proba, proba).plot(ax=axes, marker="o")
    axes.errorbar(proba, value, (value - low, high - value), fmt="none", capsize=3, label="95 % interval")
    error = with_interval(performance["metrics"]["expected_calibration_error"])
    axes.set(xlabel="", ylabel="Observed frequency", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_title(f"Expected calibration error {error}")
    axes.grid()
    axes.legend().remove()
    figure.legend(loc="outside upper left", ncols=2)
    below.bar([(each["from"] + each["to"]) / 2 for each in bins], [each["count"] for each in bins], width=0.09)
    below.set(xlabel=f"Mean predicted probability of {of}", ylabel="Predictions")
    number_axis(below.yaxis, 3, integer=True)
    return figure


def roc_and_precision_recall(truth: Array, proba: Array, metrics: Mapping[str, Any]) -> Figure:
    """Both curves of n rows: whether each is of the positive class, and its probability. Raises NotDrawable for rows
    of one class only."""
    if truth.all() or not truth.any():
        raise NotDrawable("All labels are of one class so far.")
    figure = Figure((8.4, 4.7))
    left, right = figure.subplots(1, 2)
    chance: dict[str, Any] = {"plot_chance_level": True, "chance_level_kw": {"color": GREY, "label": "Chance level"}}
    false_positive_rate, true_positive_rate, _ = skm.roc_curve(truth, proba)
    skm.RocCurveDisplay(fpr=false_positive_rate, tpr=true_positive_rate).plot(left, **chance)
    precision, recall, _ = skm.precision_recall_curve(truth, proba, drop_intermediate=True)
    skm.PrecisionRecallDisplay(precision, recall, prevalence_pos_label=float(truth.mean())).plot(right, **chance)
    left.set_title(f"ROC curve\nAUC {with_interval(metrics['roc_auc'])}")
    right.set_title(f"Precision-recall curve\naverage precision {with_interval(metrics['average_precision'])}")
    left.grid()
    right.grid()
    return figure


def probabilities(groups: Mapping[str, Array], of: str, threshold: float | None) -> Figure:
    """A histogram of the predicted probabilities in each group of predictions, by its name; `of` says whose they
    are."""
    shown = [each for each in zip(groups.items(), (BLUE, VERMILION, GREY), strict=True) if len(each[0][1])]
    figure = Figure((6.4, 0.9 + 1.5 * len(shown)))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, ((name, values), color) in zip(panels, shown, strict=True):
        axes.hist(values.clip(0.0, 1.0), bins=_BINS, range=(0.0, 1.0), color=color, edgecolor="white")
        axes.set(title=f"{name}: {len(values):,}", ylabel="Predictions", xlim=(-0.01, 1.01))
        number_axis(axes.yaxis, 5, integer=True)
        axes.grid(axis="y")
        if threshold is not None:
            axes.axvline(threshold, color=DARK, linestyle="--", linewidth=1)
    dashed = "" if threshold is None else f" (dashed line: threshold {number(threshold, 3)})"
    panels[-1].set_xlabel(f"Predicted probability of {of}{dashed}")
    return figure


def confusion_matrix(labels: Sequence[Any], counts: Sequence[Sequence[int]]) -> Figure:
    """Counts by true label (row) and predicted label (column), coloured by their share of the row."""
    table, size = np.array(counts), len(labels)
    whole = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, whole, out=np.zeros(table.shape), where=whole > 0)
    inches = min(8.0, 2.6 + 0.75 * size)
    figure = Figure((inches + 1.4, inches))
    axes = figure.subplots()
    written, names = size <= _WRITTEN, [plain(label, 16) for label in labels]
    display = skm.ConfusionMatrixDisplay(shares, display_labels=names)
    display.plot(ax=axes, include_values=written, cmap="Blues", colorbar=False, im_kw={"vmin": 0, "vmax": 1})
    axes.spines[:].set_visible(False)
    if size > _NAMED:
        axes.set(xticks=[], yticks=[], title=f"{size} labels in the model's order")
    if not written or max(map(len, names)) > 6:
        axes.tick_params(labelsize=9 if written else 6)
        for text in axes.get_xticklabels():
            text.set(rotation=40 if written else 90, ha="right", va="center", rotation_mode="anchor")
    for place, text in np.ndenumerate(display.text_) if written else ():
        color = "white" if shares[place] > 0.55 else DARK
        text.set(text=f"{number(float(table[place]), 3)}\n{shares[place]:.0%}", color=color)
    figure.colorbar(display.im_, ax=axes, label="Share of the true label", shrink=0.8)
    return figure
