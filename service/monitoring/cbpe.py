"""The expected performance of predictions without a label, from their probabilities: confidence-based performance
estimation (CBPE, as in NannyML 2022; the expected confusion matrix of Guillory et al. 2021 and Garg et al. 2022). It
assumes calibrated probabilities and does not detect concept drift."""

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from serialize.task import Task
from service.monitoring.intervals import Array, MetricValue
from service.monitoring.score_counts import ScoreCounts
from service.monitoring.task_metrics import confusion_metrics
from service.storage.column_cache import Rows

METHOD = "CBPE"

_MIN_LABELLED = 500
_MOST_SCORES = 1_000


def estimate_performance(task: Task, rows: Rows) -> dict[str, Any] | None:
    """The expected metrics of the rows without a label, without intervals; None if there are no such rows or no
    probabilities. At least 500 labelled rows, some right and some wrong, first calibrate the probabilities by isotonic
    regression (Zadrozny and Elkan 2002)."""
    unlabelled = rows.take(~rows.is_labelled & (rows.predicted >= 0))
    if task.kind == "regression" or not len(unlabelled):
        return None
    labelled = rows.take(rows.is_labelled)
    binary = task.kind == "binary"
    right = labelled.truth == (task.positive_index if binary else labelled.predicted)
    is_calibrated = len(labelled) >= _MIN_LABELLED and 0 < int(right.sum()) < len(labelled)
    raw = unlabelled.output.clip(0.0, 1.0)
    proba = _calibrated(labelled.output.clip(0.0, 1.0), right, raw) if is_calibrated else raw
    metrics = {"accuracy": MetricValue(float(proba.mean()))}
    if binary:
        metrics = _binary(raw, proba, unlabelled.predicted == task.positive_index)
    return {
        "method": METHOD,
        "count": len(unlabelled),
        "calibrated_on": len(labelled) if is_calibrated else None,
        "metrics": {name: metric.value for name, metric in metrics.items()},
    }


def _binary(raw: Array, proba: Array, predicted: Array) -> dict[str, MetricValue]:
    tp, fn = float(proba[predicted].sum()), float(proba[~predicted].sum())
    fp, tn = float(predicted.sum()) - tp, float((~predicted).sum()) - fn
    metrics = {**confusion_metrics(tp, fp, fn, tn), **ScoreCounts.of(raw, proba).metrics()}
    del metrics["expected_calibration_error"]  # 0 by assumption
    return metrics


def _calibrated(scores: Array, right: Array, raw: Array) -> Array:
    counts = ScoreCounts.of(scores, right).binned(_MOST_SCORES)
    weight = counts.positives + counts.negatives
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    isotonic.fit(counts.proba, counts.positives / weight, sample_weight=weight)
    return np.asarray(isotonic.predict(raw), dtype=np.float64)
