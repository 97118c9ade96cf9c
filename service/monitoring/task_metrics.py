"""How good labelled predictions were, by the model's task: scikit-learn's figures by their scikit-learn names, each
with its interval."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serialize.task import Task
from service.monitoring import intervals
from service.monitoring.intervals import Array, MetricValue
from service.monitoring.score_counts import ScoreCounts
from service.storage.column_cache import Rows

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """The metrics by name, the confusion matrix (a row a true class), and what else belongs to the task."""

    metrics: dict[str, MetricValue]
    confusion_matrix: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)


def task_metrics(task: Task, rows: Rows) -> TaskMetrics:
    """The figures of labelled rows; those that the rows do not define are empty."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        match task.kind:
            case "binary":
                return _binary(task, rows)
            case "multiclass":
                return _multiclass(task, rows)
            case "regression":
                return _regression(rows)


def confusion_metrics(tp: float, fp: float, fn: float, tn: float) -> dict[str, MetricValue]:
    """What follows from a binary confusion matrix."""
    both = tp + fn > 0 and tn + fp > 0
    sides = [intervals.proportion(tp, tp + fn), intervals.proportion(tn, tn + fp)]
    return {
        "accuracy": intervals.proportion(tp + tn, tp + fp + fn + tn),
        "balanced_accuracy": intervals.mean_of(sides) if both else MetricValue(),
        "precision": intervals.proportion(tp, tp + fp),
        "recall": sides[0],
        "f1": intervals.f1_interval(tp, fp + fn),
    }


def _binary(task: Task, rows: Rows) -> TaskMetrics:
    truth, predicted = rows.truth == task.positive_index, rows.predicted == task.positive_index
    tp, fp = int((truth & predicted).sum()), int((predicted & ~truth).sum())
    fn = int(truth.sum()) - tp
    cells = ScoreCounts.of(rows.output.clip(0.0, 1.0), truth)
    counts = {True: {True: tp, False: fn}, False: {True: fp, False: len(rows) - tp - fp - fn}}
    positive = [label == task.positive_class for label in task.classes]
    table = [[counts[true][answered] for answered in positive] for true in positive]
    metrics = {**confusion_metrics(tp, fp, fn, len(rows) - tp - fp - fn), **cells.figures()}
    return TaskMetrics(metrics, _matrix(task, table), cells.calibration())


def _multiclass(task: Task, rows: Rows) -> TaskMetrics:
    size, count = len(task.classes), len(rows)
    table = np.bincount(rows.truth.astype(np.int64) * size + rows.predicted, minlength=size * size).reshape(size, size)
    right = int(table.trace())
    assert rows.target is not None
    losses = -np.log(rows.target.clip(_EPSILON, 1 - _EPSILON))
    cells = ScoreCounts.of(rows.output.clip(0.0, 1.0), rows.truth == rows.predicted)
    metrics = {
        "accuracy": intervals.proportion(right, count),
        **_macro(table),
        "log_loss": _mean(losses, least=0.0),
        "expected_calibration_error": cells.figures()["expected_calibration_error"],
    }
    classes = {"classes": {str(label): _of_class(table, i) for i, label in enumerate(task.classes)}}
    return TaskMetrics(metrics, _matrix(task, table.tolist()), cells.calibration(), classes)


def _macro(table: Array) -> dict[str, MetricValue]:
    """The means over the classes, with a bootstrap of the confusion matrix; where every answer was right, which no
    resampling would change, with an interval from those of the classes."""
    names = ("balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
    if not table.sum():
        return dict.fromkeys(names, MetricValue())
    if table.trace() == table.sum():
        classes = [_shares(table, place) for place in np.flatnonzero(table.diagonal()).tolist()]
        of_name = ("recall", "precision", "recall", "f1")
        return {name: intervals.mean_of([one[of] for one in classes]) for name, of in zip(names, of_name, strict=True)}
    value = _means(table[None].astype(float))[0].tolist()
    return dict(zip(names, intervals.resampled(value, _means(intervals.draws(table).astype(float))), strict=True))


def _means(tables: Array) -> Array:
    """Balanced accuracy and the macro means of n confusion matrices, of shape (n, 4), as scikit-learn has them: a
    class that was neither true nor answered is left out, and one that was never true of balanced accuracy."""
    hits, true, answered = tables.diagonal(axis1=1, axis2=2), tables.sum(axis=2), tables.sum(axis=1)
    recall, precision, f1 = (
        np.divide(hits * factor, whole, out=np.zeros_like(hits), where=whole > 0)
        for factor, whole in ((1, true), (1, answered), (2, true + answered))
    )
    met = (true + answered > 0).sum(axis=1)
    balanced = recall.sum(axis=1) / (true > 0).sum(axis=1)
    return np.column_stack([balanced, *(each.sum(axis=1) / met for each in (precision, recall, f1))])


def _of_class(table: Array, place: int) -> dict[str, Any]:
    """One class against the rest."""
    return {"labelled": int(table[place].sum()), "metrics": _shares(table, place)}


def _shares(table: Array, place: int) -> dict[str, MetricValue]:
    hits = int(table[place, place])
    true, answered = int(table[place].sum()), int(table[:, place].sum())
    return {
        "precision": intervals.proportion(hits, answered),
        "recall": intervals.proportion(hits, true),
        "f1": intervals.f1_interval(hits, true + answered - 2 * hits),
    }


def _regression(rows: Rows) -> TaskMetrics:
    assert rows.target is not None
    errors = rows.output - rows.target
    squared = _mean(errors**2, least=0.0)
    metrics = {
        "mean_absolute_error": _mean(np.abs(errors), least=0.0),
        "root_mean_squared_error": squared.transformed(np.sqrt),
        "r2": _r2(rows.target, errors),
        "bias": _mean(errors),
    }
    found = np.quantile(errors, QUANTILES).tolist() if len(rows) else [None] * len(QUANTILES)
    names = (f"{quantile:g}" for quantile in QUANTILES)
    return TaskMetrics(metrics, more={"error_quantiles": dict(zip(names, map(_finite, found), strict=True))})


def _r2(truth: Array, errors: Array) -> MetricValue:
    """R2 with the interval of the infinitesimal jackknife (Efron 1982): its variance is that of the influence that
    each row has on it."""
    if len(truth) < 2:
        return MetricValue()
    squares = (truth - truth.mean()) ** 2
    whole = squares.mean()
    if not whole > 0:
        return MetricValue()
    value = 1 - (errors**2).mean() / whole
    influence = (errors**2 - (1 - value) * squares) / whole
    spread = intervals.mean(0.0, float(influence @ influence), len(truth))
    half = spread.high if spread.high is not None else np.nan
    return MetricValue.of(value, value - half, min(1.0, value + half))


def _mean(numbers: Array, *, least: float = -np.inf) -> MetricValue:
    total = float(numbers.sum())
    distances = numbers - total / max(1, len(numbers))
    return intervals.mean(total, float(distances @ distances), len(numbers), least=least)


def _matrix(task: Task, table: list[list[int]]) -> dict[str, Any]:
    return {"labels": list(task.classes), "counts": table}


def _finite(number: float | None) -> float | None:
    return number if number is not None and np.isfinite(number) else None
