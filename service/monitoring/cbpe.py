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


def estimate_performance(task: Task, labelled: Rows, unlabelled: Rows) -> dict[str, Any] | None:
    """The expected metrics of the rows without a label, without intervals; None if there are no such rows or no
    probabilities. At least 500 labelled rows, some right and some wrong, first calibrate the probabilities by isotonic
    regression (Zadrozny and Elkan 2002)."""
    if task.kind == "regression" or not len(unlabelled):
        return None
    binary = task.kind == "binary"
    right = labelled.truth == (task.positive_index if binary else labelled.predicted)
    is_calibrated = len(labelled) >= _MIN_LABELLED and 0 < int(right.sum()) < len(labelled)
    predicted = unlabelled.predicted == (task.positive_index if binary else unlabelled.predicted)
    scores = ScoreCounts.of_outputs(unlabelled, predicted)
    proba = _calibrated(ScoreCounts.of_outputs(labelled, right), scores.proba) if is_calibrated else scores.proba
    return {
        "method": METHOD,
        "count": len(unlabelled),
        "calibrated_on": len(labelled) if is_calibrated else None,
        "metrics": {name: metric.value for name, metric in _expected(scores, proba, binary=binary).items()},
    }


def _expected(scores: ScoreCounts, proba: Array, *, binary: bool) -> dict[str, MetricValue]:
    """The metrics to expect of k scores with the calibrated probabilities `proba`, of shape (k,). The positives among
    the scores are rows that were predicted positive, or all rows if the task is not binary."""
    count = scores.positives + scores.negatives
    if not binary:
        return {"accuracy": MetricValue(float(proba @ count / count.sum()))}
    tp, fn = float(proba @ scores.positives), float(proba @ scores.negatives)
    fp, tn = float(scores.positives.sum()) - tp, float(scores.negatives.sum()) - fn
    expected = ScoreCounts(scores.proba, proba * count, count - proba * count)
    metrics = {**confusion_metrics(tp, fp, fn, tn), **expected.metrics()}
    del metrics["expected_calibration_error"]  # 0 by assumption
    return metrics


def _calibrated(labelled: ScoreCounts, proba: Array) -> Array:
    counts = labelled.binned(_MOST_SCORES)
    weight = counts.positives + counts.negatives
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    isotonic.fit(counts.proba, counts.positives / weight, sample_weight=weight)
    return np.asarray(isotonic.predict(proba), dtype=np.float64)
