"""The JSON Schemas of what /performance and /drift answer, and the parameters that they take."""

from collections.abc import Mapping, Sequence

from serialize.manifest import Manifest
from serialize.task import Task
from service.monitoring.comparison import CHANGES
from service.monitoring.task_metrics import QUANTILES
from service.prediction.filter import DEFAULT_LAST
from service.prediction.moment import MOMENT
from service.web.query import MOST_LAST, WINDOWS
from service.web.schemas import NO_NUL, Schema, closed, reference

Parameters = Mapping[str, tuple[str, Schema]]

_COUNT: Schema = {"type": "integer", "minimum": 0}
_REAL: Schema = {"type": "number"}
_NUMBER: Schema = {"type": ["number", "null"]}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_SHARE_OR_NULL: Schema = {**_SHARE, "type": ["number", "null"]}
_BOUNDS = {"value": _NUMBER, "low": _NUMBER, "high": _NUMBER}
_MOMENT: Schema = {"type": "string", "pattern": MOMENT}
SELECTION: Parameters = {
    "model_version": (
        "Only what this version of a model answered.",
        {"type": "string", "minLength": 1, "pattern": NO_NUL},
    ),
    "since": ("Only what was answered from this time on (ISO 8601; UTC where no zone is given).", _MOMENT),
    "until": ("Only what was answered before this time.", _MOMENT),
}
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


def performance_parameters(columns: Sequence[str]) -> Parameters:
    """The query parameters of /performance, for observations of these columns."""
    return {
        **SELECTION,
        "window": ("A series of days (UTC) or of weeks from Monday.", {"enum": list(WINDOWS)}),
        "by": ("The figures for each value of a column.", {"enum": list(columns)}),
    }


def drift_parameters() -> Parameters:
    """The query parameters of /drift."""
    last: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_LAST}
    said = f"Only so many of the latest rows; {DEFAULT_LAST} where no time is given either."
    return {**SELECTION, "last": (said, last)}


def score_schemas(manifest: Manifest) -> dict[str, Schema]:
    """The schemas by name."""
    task = manifest.task
    return {
        "Figure": closed({**_BOUNDS, "training": _NUMBER}),
        "Metrics": closed(dict.fromkeys(_METRICS[task.kind], reference("Figure"))),
        "Performance": _performance(task),
        "Drift": _drift(),
        "DriftOfColumn": _column(),
    }


def _performance(task: Task) -> Schema:
    part: dict[str, Schema] = {
        "count": _COUNT,
        "labelled": _COUNT,
        "coverage": _SHARE_OR_NULL,
        "label_delay": closed({"median": _NUMBER, "p90": _NUMBER}),
    }
    metrics = reference("Metrics")
    moment: Schema = {"type": "string", "format": "date-time"}
    verdict: Schema = {"enum": ["worse than the rest", "as the rest", "better than the rest", None]}
    whole: dict[str, Schema] = {
        **part,
        "metrics": metrics,
        "threshold": _SHARE_OR_NULL,
        "confusion_matrix": _matrix(task),
        "calibration": _calibration(),
        "estimate": _estimate(),
        "interval": {"const": 0.95},
        **_of_task(task),
    }
    asked: dict[str, Schema] = {
        "series": {"type": "array", "items": closed({"from": moment, "to": moment, **part, "metrics": metrics})},
        "by": {"type": "string"},
        "groups": {
            "type": "array",
            "items": closed(
                {"value": {}, **part, "metrics": {"anyOf": [metrics, {"type": "null"}]}, "verdict": verdict}
            ),
        },
    }
    return closed({**whole, **asked}, list(whole))


def _of_task(task: Task) -> dict[str, Schema]:
    if task.kind == "binary":
        return {}
    if task.kind == "regression":
        return {"error_quantiles": closed({f"{quantile:g}": _NUMBER for quantile in QUANTILES})}
    metrics = closed(dict.fromkeys(("precision", "recall", "f1"), reference("Figure")))
    return {"classes": closed({str(label): closed({"labelled": _COUNT, "metrics": metrics}) for label in task.classes})}


def _matrix(task: Task) -> Schema:
    if task.kind == "regression":
        return {"type": "null"}
    row = {"type": "array", "items": _COUNT}
    return closed({"labels": {"const": list(task.classes)}, "counts": {"type": "array", "items": row}})


def _calibration() -> Schema:
    bin_ = {"from": _SHARE, "to": _SHARE, "count": _COUNT, "mean_proba": _SHARE_OR_NULL, "share": closed(_BOUNDS)}
    parts = closed(dict.fromkeys(("reliability", "resolution", "uncertainty", "within_bins"), _REAL))
    found = closed({"bins": {"type": "array", "items": closed(bin_)}, "brier_score": parts})
    return {"anyOf": [found, {"type": "null"}]}


def _estimate() -> Schema:
    found = closed(
        {
            "method": {"const": "CBPE"},
            "count": _COUNT,
            "calibrated_on": {**_COUNT, "type": ["integer", "null"]},
            "metrics": {"type": "object", "additionalProperties": _NUMBER},
        }
    )
    return {"anyOf": [found, {"type": "null"}]}


def _drift() -> Schema:
    columns = {"type": "object", "additionalProperties": reference("DriftOfColumn")}
    return closed(
        {
            "count": _COUNT,
            "compared": _COUNT,
            "model_version": {"type": "string"},
            "verdict": _verdict(),
            "drifted": {"type": "array", "items": {"type": "string"}},
            "columns": columns,
        }
    )


def _column() -> Schema:
    return closed(
        {
            "kind": {"enum": ["integer", "number", "boolean", "category", "text", "output"]},
            "count": _COUNT,
            "null_rate": _SHARE_OR_NULL,
            "reference_null_rate": _SHARE,
            "unseen_rate": _SHARE,
            "out_of_range_rate": _SHARE,
            "psi": _REAL,
            "distance": _SHARE,
            "noise_floor": _REAL,
            "test": {"enum": ["Kolmogorov-Smirnov", "chi-squared", "distance"]},
            "p_value": _SHARE_OR_NULL,
            "verdict": _verdict(),
            "changes": {"type": "array", "items": {"enum": list(CHANGES)}},
        },
        ["kind", "count", "p_value", "verdict", "changes"],
    )


def _verdict() -> Schema:
    return {"enum": ["ok", "watch", "drifted", None]}
