"""How good predictions without a label may be expected to be, from their probabilities alone: confidence-based
performance estimation (CBPE, as in NannyML 2022; the expected confusion matrix of Guillory et al. 2021 and
Garg et al. 2022). It holds as far as the probabilities are calibrated, and says nothing of a change in what the labels
mean."""

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from serialize.task import Task
from service.monitoring.intervals import Array, MetricValue
from service.monitoring.score_counts import ScoreCounts
from service.monitoring.task_metrics import confusion_metrics
from service.storage.column_cache import Rows

METHOD = "CBPE"

_ENOUGH = 500
_CELLS = 1_000


def estimate_performance(task: Task, rows: Rows) -> dict[str, Any] | None:
    """The expected metrics of those rows that have no label, without intervals; None where there are none or the
    model gives no probabilities. Where 500 rows of both kinds are labelled, the probabilities are calibrated on
    them first, by isotonic regression (Zadrozny and Elkan 2002)."""
    waiting = rows.take(~rows.is_labelled & (rows.predicted >= 0))
    if task.kind == "regression" or not len(waiting):
        return None
    labelled = rows.take(rows.is_labelled)
    binary = task.kind == "binary"
    right = labelled.truth == (task.positive_index if binary else labelled.predicted)
    calibrated = len(labelled) >= _ENOUGH and 0 < int(right.sum()) < len(labelled)
    proba = waiting.output.clip(0.0, 1.0)
    chance = _calibrated(labelled.output.clip(0.0, 1.0), right, proba) if calibrated else proba
    found = _binary(proba, chance, waiting.predicted == task.positive_index) if binary else _multiclass(chance)
    return {
        "method": METHOD,
        "count": len(waiting),
        "calibrated_on": len(labelled) if calibrated else None,
        "metrics": {name: figure.value for name, figure in found.items()},
    }


def _binary(proba: Array, chance: Array, predicted: Array) -> dict[str, MetricValue]:
    tp, fn = float(chance[predicted].sum()), float(chance[~predicted].sum())
    fp, tn = float(predicted.sum()) - tp, float((~predicted).sum()) - fn
    found = ScoreCounts.of(proba, chance).figures()
    names = ("roc_auc", "average_precision", "log_loss", "brier_score")
    return {**confusion_metrics(tp, fp, fn, tn), **{name: found[name] for name in names}}


def _multiclass(chance: Array) -> dict[str, MetricValue]:
    return {"accuracy": MetricValue(float(chance.mean()))}


def _calibrated(seen: Array, right: Array, proba: Array) -> Array:
    cells = ScoreCounts.of(seen, right).binned(_CELLS)
    count = cells.positives + cells.negatives
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fitted.fit(cells.proba, cells.positives / count, sample_weight=count)
    return np.asarray(fitted.predict(proba), dtype=np.float64)
