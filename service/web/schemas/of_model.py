"""The JSON Schemas (draft 2020-12) of every body that the service takes and answers, made from the artifact's manifest.
The service takes exactly the bodies that their schema admits."""

import sys
from collections.abc import Mapping

from serialize.manifest import Manifest
from serialize.signature import Column, ColumnKind, Signature
from serialize.task import Task, TaskKind
from service.monitoring.task_metrics import QUANTILES
from service.prediction.moment import MOMENT
from service.prediction.true_label import LabelParser
from service.web.admin_payload import DAYS, MOST_LEARNED, MOST_PREFIX
from service.web.schemas.answers import ANSWERS, LISTED_MODEL
from service.web.schemas.forms import (
    BOOLEAN,
    COUNT,
    INTERVAL,
    METHOD,
    NO_NUL,
    REAL,
    REAL_OR_NULL,
    SHARE,
    SHARE_OR_NULL,
    TEXT,
    TIME,
    Schema,
    Schemas,
    array,
    each,
    integer,
    mapping,
    nullable,
    record,
    reference,
)

_TYPES: Mapping[ColumnKind, str] = {"boolean": "boolean", "integer": "integer", "number": "number", "text": "string"}
_CLASS_METRICS = ("accuracy", "balanced_accuracy", "log_loss", "expected_calibration_error")
METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "binary": (*_CLASS_METRICS, "precision", "recall", "f1", "roc_auc", "average_precision", "brier_score"),
    "multiclass": (*_CLASS_METRICS, "precision_macro", "recall_macro", "f1_macro"),
    "regression": ("mean_absolute_error", "root_mean_squared_error", "r2", "bias"),
}
_BIN = record(**each(SHARE, "from", "to"), count=COUNT, mean_proba=SHARE_OR_NULL, share=record(**INTERVAL))
_BRIER = record(**each(REAL, "reliability", "resolution", "uncertainty", "within_bins"))
_DELAY = record(**each(REAL_OR_NULL, "median", "p90"))
_OF_CLASS = record(labelled=COUNT, metrics=record(**each(reference("Figure"), "precision", "recall", "f1")))
_ESTIMATE = record(method={"const": "CBPE"}, count=COUNT, calibrated_on=nullable(COUNT), metrics=mapping(REAL_OR_NULL))
FACTS = (
    *("task", "classes", "positive_class", "threshold", "ties", "signature", "metrics", "importances"),
    *("libraries", "not_compiled", "scoring", "warnings", "class_counts"),
)
_VERDICT = {
    "type": ["object", "null"],
    "description": "What the gate said of a retrained model, with its figures; null for any other model.",
}


def schemas(manifest: Manifest, max_items: int) -> dict[str, Schema]:
    """Every schema by name; `max_items` is the most that an array may hold."""
    task, signature = manifest.task, manifest.signature
    prediction = _prediction(task)
    card = ANSWERS["Model"]["properties"]
    return {
        **ANSWERS,
        "RegisteredModel": record(**LISTED_MODEL, **{name: card[name] for name in FACTS}, verdict=_VERDICT),
        "Observation": observation(signature),
        "Predictions": _one_or_many("Prediction", max_items),
        "TrueLabel": record(id=reference("ObservationId"), **{LabelParser(task).name: label(task)}),
        "TrueLabels": _one_or_many("TrueLabel", max_items),
        "Predicted": record(**prediction),
        "PredictedOnes": _one_or_many("Predicted", max_items),
        "Updated": record(**prediction, observation=observation(signature, is_stored=True)),
        "UpdatedOnes": _one_or_many("Updated", max_items),
        "Metrics": record(**each(reference("Figure"), *METRICS[task.kind])),
        "Performance": _performance(task),
        "Retraining": _retraining(signature),
    }


def observation(signature: Signature, *, is_stored: bool = False) -> Schema:
    """An observation of the model. A request may omit a nullable column; a stored observation has all columns."""
    required = [column.name for column in signature if is_stored or not column.nullable]
    return {**record(**{column.name: _column(column) for column in signature}), "required": required}


def label(task: Task) -> Schema:
    """A true class in every form that the service takes, or a true value."""
    if task.kind == "regression":
        return {**REAL, "description": "A double."}
    return {"enum": [*task.classes, *(int(one) for one in task.classes if isinstance(one, bool))]}


def _column(column: Column) -> Schema:
    if column.accepted == "category":
        return {"enum": [*(column.categories or ()), *([None] if column.nullable else [])]}
    if column.datetimes is not None:
        form = "date" if column.datetimes.unit == "D" else "date-time"
        described = f"Expected: {column.expected}."
        found = {**TEXT, "format": form, "pattern": column.datetimes.pattern, "description": described}
        return nullable(found) if column.nullable else found
    schema: Schema = {"type": _TYPES[column.accepted]}
    if column.accepts_unseen:
        schema["description"] = f"The known values are {column.known}; others are accepted."
    if column.accepted == "text":
        schema |= {"maxLength": column.max_length, "pattern": NO_NUL}
    elif column.accepted != "boolean":
        least, greatest = column.limits  # those of a double need no mention, and cannot be exact
        schema |= {"minimum": least} if least > -sys.float_info.max else {}
        schema |= {"maximum": greatest} if greatest < sys.float_info.max else {}
    return nullable(schema) if column.nullable else schema


def _prediction(task: Task) -> Schemas:
    """The members of a stored prediction in an answer."""
    members: dict[str, Schema] = {"id": reference("RowKey"), "observation_id": reference("ObservationId")}
    if task.kind == "regression":
        return {**members, "predicted_value": REAL, "true_value": REAL_OR_NULL}
    classes = list(task.classes)
    members |= {"predicted_class": {"enum": classes}, "proba": SHARE, "true_class": {"enum": [*classes, None]}}
    return members | ({"probas": record(**each(SHARE, *map(str, classes)))} if task.kind == "multiclass" else {})


def _performance(task: Task) -> Schema:
    metrics = reference("Metrics")
    part = {**each(COUNT, "count", "labelled"), "coverage": SHARE_OR_NULL, "label_delay": _DELAY}
    window = record(**each(TIME, "from", "to"), **part, metrics=metrics)
    verdict: Schema = {"enum": ["worse than the rest", "as the rest", "better than the rest", None]}
    group = record(value={}, **part, metrics={"anyOf": [metrics, {"type": "null"}]}, verdict=verdict)
    matrix = record(labels={"const": list(task.classes)}, counts=array(array(COUNT)))
    by_task: dict[str, Schema] = {}
    if task.kind == "regression":
        by_task["error_quantiles"] = record(**each(REAL_OR_NULL, *(f"{quantile:g}" for quantile in QUANTILES)))
    if task.kind == "multiclass":
        by_task["classes"] = record(**each(_OF_CLASS, *map(str, task.classes)))
    return record(
        {"series": array(window), "by": TEXT, "groups": array(group), "comparison": reference("Comparison")},
        **part,
        metrics=metrics,
        threshold=SHARE_OR_NULL,
        confusion_matrix={"type": "null"} if task.kind == "regression" else matrix,
        calibration=nullable(record(bins=array(_BIN), brier_score=_BRIER)),
        estimate=nullable(_ESTIMATE),
        interval={"const": 0.95},
        training_method=METHOD,
        **by_task,
    )


def _retraining(signature: Signature) -> Schema:
    """The body of POST /admin/retrain. Every member may be missing."""
    count, column = integer(1, MOST_LEARNED), {"enum": list(signature.names)}
    moment = {**nullable(TEXT), "pattern": MOMENT}
    window = {"anyOf": [nullable(count), {**TEXT, "pattern": DAYS}]}
    return record(
        {
            "promote": {**BOOLEAN, "description": "Whether to promote the new model if the gate finds it better."},
            "window": {**window, "description": 'Only the newest rows: so many, or those of so many days ("30d").'},
            "max_rows": {**nullable(count), "description": "The most rows of the log to train on."},
            "holdout": {
                **nullable(count),
                "description": "The rows that judge; by default a number that grows with them.",
            },
            "since": {**moment, "description": "Only rows from this time on."},
            "until": {**moment, "description": "Only rows before this time."},
            "ids": {
                **nullable(TEXT),
                "minLength": 1,
                "maxLength": MOST_PREFIX,
                "pattern": NO_NUL,
                "description": "Only rows whose id begins so.",
            },
            "cluster": {
                "enum": [*signature.names, None],
                "description": "A column whose equal values belong together; the gate resamples them together.",
            },
            "guard": {
                "type": ["array", "null"],
                "items": column,
                "description": "Columns in none of whose groups the new model may be worse.",
            },
        }
    )


def _one_or_many(name: str, max_items: int) -> Schema:
    """One object or an array. The description states the limit: a longer array is answered 413, and tools that read
    maxItems expect 422."""
    many = {**array(reference(name)), "description": f"At most {max_items} items; more are answered 413."}
    return {"oneOf": [reference(name), many]}
