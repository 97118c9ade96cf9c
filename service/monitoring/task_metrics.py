"""The metrics of labelled predictions for each task, under their scikit-learn names, each with its interval."""

from dataclasses import asdict, dataclass, field
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
    """The metrics by name, the confusion matrix (one row per true class), and, as JSON, more by task."""

    metrics: dict[str, MetricValue]
    confusion_matrix: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)


def task_metrics(task: Task, rows: Rows) -> TaskMetrics:
    """The metrics of labelled rows; a metric that is undefined for them is empty."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if task.kind == "regression":
            return _regression(rows)
        return _binary(task, rows) if task.kind == "binary" else _multiclass(task, rows)


def confusion_metrics(tp: float, fp: float, fn: float, tn: float) -> dict[str, MetricValue]:
    """The metrics of a binary confusion matrix, whose counts may be expected ones."""
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
    table = _confusion_table(task, rows).tolist()
    p, n = task.positive_index, 1 - task.positive_index
    counts = ScoreCounts.of_outputs(rows, rows.truth == p)
    metrics = {**confusion_metrics(table[p][p], table[n][p], table[p][n], table[n][n]), **counts.metrics()}
    return TaskMetrics(metrics, {"labels": list(task.classes), "counts": table}, counts.calibration())


def _multiclass(task: Task, rows: Rows) -> TaskMetrics:
    table = _confusion_table(task, rows)
    assert rows.target is not None
    counts = ScoreCounts.of_outputs(rows, rows.truth == rows.predicted)
    metrics = {
        "accuracy": intervals.proportion(int(table.trace()), len(rows)),
        **_macro(table),
        "log_loss": _mean(-np.log(rows.target.clip(_EPSILON, 1 - _EPSILON)), least=0.0),
        "expected_calibration_error": counts.metrics()["expected_calibration_error"],
    }
    classes = {str(label): _class_report(table, i) for i, label in enumerate(task.classes)}
    matrix = {"labels": list(task.classes), "counts": table.tolist()}
    return TaskMetrics(metrics, matrix, counts.calibration(), {"classes": classes})


def _confusion_table(task: Task, rows: Rows) -> Array:
    size = len(task.classes)
    cells = rows.truth.astype(np.int64) * size + rows.predicted
    return np.bincount(cells, minlength=size * size).reshape(size, size)


def _macro(table: Array) -> dict[str, MetricValue]:
    """The means over the classes, with a bootstrap of the confusion matrix. If all predictions are right, resampling
    changes nothing; the interval then follows from those of the classes."""
    names = ("balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
    if not table.sum():
        return dict.fromkeys(names, MetricValue())
    if table.trace() == table.sum():
        classes = [_class_metrics(table, place) for place in np.flatnonzero(table.diagonal()).tolist()]
        of_name = ("recall", "precision", "recall", "f1")
        return {name: intervals.mean_of([one[of] for one in classes]) for name, of in zip(names, of_name, strict=True)}
    value = _means(table[None].astype(float))[0].tolist()
    return dict(zip(names, intervals.resampled(value, _means(intervals.draws(table).astype(float))), strict=True))


def _means(tables: Array) -> Array:
    """Balanced accuracy and the macro means of n confusion matrices, of shape (n, 4), as in scikit-learn: without
    classes that are never true and never predicted, and balanced accuracy without those that are never true."""
    hits, true, predicted = tables.diagonal(axis1=1, axis2=2), tables.sum(axis=2), tables.sum(axis=1)
    recall, precision, f1 = (
        np.divide(hits * factor, whole, out=np.zeros_like(hits), where=whole > 0)
        for factor, whole in ((1, true), (1, predicted), (2, true + predicted))
    )
    used = (true + predicted > 0).sum(axis=1)
    balanced = recall.sum(axis=1) / (true > 0).sum(axis=1)
    return np.column_stack([balanced, *(each.sum(axis=1) / used for each in (precision, recall, f1))])


def _class_report(table: Array, place: int) -> dict[str, Any]:
    metrics = {name: {**asdict(metric), "training": None} for name, metric in _class_metrics(table, place).items()}
    return {"labelled": int(table[place].sum()), "metrics": metrics}


def _class_metrics(table: Array, place: int) -> dict[str, MetricValue]:
    """One class against the rest."""
    hits, true, predicted = int(table[place, place]), int(table[place].sum()), int(table[:, place].sum())
    return {
        "precision": intervals.proportion(hits, predicted),
        "recall": intervals.proportion(hits, true),
        "f1": intervals.f1_interval(hits, true + predicted - 2 * hits),
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
    found = np.quantile(errors, QUANTILES).tolist() if len(rows) else [np.nan] * len(QUANTILES)
    pairs = zip(QUANTILES, found, strict=True)
    quantiles = {f"{quantile:g}": error if np.isfinite(error) else None for quantile, error in pairs}
    return TaskMetrics(metrics, more={"error_quantiles": quantiles})


def _r2(truth: Array, errors: Array) -> MetricValue:
    """R2 with the interval of the infinitesimal jackknife (Efron 1982), from the influence of each row on R2."""
    squares = (truth - truth.mean()) ** 2 if len(truth) > 1 else np.zeros(1)
    variance = squares.mean()
    if not variance > 0:
        return MetricValue()
    value = 1 - (errors**2).mean() / variance
    influence = (errors**2 - (1 - value) * squares) / variance
    spread = intervals.mean(0.0, float(influence @ influence), len(truth))
    half = spread.high if spread.high is not None else np.nan
    return MetricValue.of(value, value - half, min(1.0, value + half))


def _mean(numbers: Array, *, least: float = -np.inf) -> MetricValue:
    total = float(numbers.sum())
    distances = numbers - total / max(1, len(numbers))
    return intervals.mean(total, float(distances @ distances), len(numbers), least=least)
