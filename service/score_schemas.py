"""The JSON Schemas of the answers of /performance and /drift."""

from serialize.manifest import Manifest
from serialize.task import Task
from service.comparison import CHANGES
from service.figures import QUANTILES
from service.schemas import (
    COUNT,
    DATE_TIME,
    REAL,
    SHARE,
    TEXT,
    Schema,
    array,
    closed,
    each,
    mapping,
    nullable,
    reference,
)

_NUMBER = nullable(REAL)
_INTERVAL = each(_NUMBER, "value", "low", "high")
_DRIFT_VERDICT: Schema = {"enum": ["ok", "watch", "drifted", None]}
_METRICS = {
    "binary": (
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision"),
        *("log_loss", "brier_score", "expected_calibration_error"),
    ),
    "multiclass": (
        *("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "log_loss"),
        "expected_calibration_error",
    ),
    "regression": ("mean_absolute_error", "root_mean_squared_error", "r2", "bias"),
}


def score_schemas(manifest: Manifest) -> dict[str, Schema]:
    """The schemas by name."""
    task = manifest.task
    return {
        "Figure": closed({**_INTERVAL, "training": _NUMBER}),
        "Metrics": closed(each(reference("Figure"), *_METRICS[task.kind])),
        "Performance": _performance(task),
        "Drift": _drift(),
        "DriftOfColumn": _column(),
    }


def _performance(task: Task) -> Schema:
    metrics = reference("Metrics")
    part = {
        **each(COUNT, "count", "labelled"),
        "coverage": nullable(SHARE),
        "label_delay": closed(each(_NUMBER, "median", "p90")),
    }
    verdict = {"enum": ["worse than the rest", "as the rest", "better than the rest", None]}
    group = closed({"value": {}, **part, "metrics": nullable(metrics), "verdict": verdict})
    window = closed({**each(DATE_TIME, "from", "to"), **part, "metrics": metrics})
    return closed(
        {
            **part,
            "metrics": metrics,
            "threshold": nullable(SHARE),
            "confusion_matrix": _matrix(task),
            "calibration": _calibration(),
            "estimate": _estimate(),
            "interval": {"const": 0.95},
            **_of_task(task),
        },
        {"series": array(window), "by": TEXT, "groups": array(group)},
    )


def _of_task(task: Task) -> dict[str, Schema]:
    """The members that only some kinds of model have."""
    if task.kind == "binary":
        return {}
    if task.kind == "regression":
        return {"error_quantiles": closed(each(_NUMBER, *(f"{quantile:g}" for quantile in QUANTILES)))}
    one = closed({"labelled": COUNT, "metrics": closed(each(reference("Figure"), "precision", "recall", "f1"))})
    return {"classes": closed(each(one, *map(str, task.classes)))}


def _matrix(task: Task) -> Schema:
    if task.kind == "regression":
        return {"type": "null"}
    return closed({"labels": {"const": list(task.classes)}, "counts": array(array(COUNT))})


def _calibration() -> Schema:
    limits = each(SHARE, "from", "to")
    bin_ = closed({**limits, "count": COUNT, "mean_proba": nullable(SHARE), "share": closed(_INTERVAL)})
    parts = closed(each(REAL, "reliability", "resolution", "uncertainty", "within_bins"))
    return nullable(closed({"bins": array(bin_), "brier_score": parts}))


def _estimate() -> Schema:
    counts = {"count": COUNT, "calibrated_on": nullable(COUNT)}
    return nullable(closed({"method": {"const": "CBPE"}, **counts, "metrics": mapping(_NUMBER)}))


def _drift() -> Schema:
    return closed(
        {
            **each(COUNT, "count", "compared"),
            "model_version": TEXT,
            "verdict": _DRIFT_VERDICT,
            "drifted": array(TEXT),
            "columns": mapping(reference("DriftOfColumn")),
        }
    )


def _column() -> Schema:
    return closed(
        {
            "kind": {"enum": ["integer", "number", "boolean", "category", "text", "output"]},
            "count": COUNT,
            "p_value": nullable(SHARE),
            "verdict": _DRIFT_VERDICT,
            "changes": array({"enum": list(CHANGES)}),
        },
        {
            "null_rate": nullable(SHARE),
            **each(SHARE, "reference_null_rate", "unseen_rate", "out_of_range_rate", "distance"),
            **each(REAL, "psi", "noise_floor"),
            "test": {"enum": ["Kolmogorov-Smirnov", "chi-squared", "distance"]},
        },
    )
