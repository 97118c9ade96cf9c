"""The JSON Schemas (draft 2020-12) of every body that the service takes and answers, made from the artifact's manifest.
The service takes exactly the bodies that their schema admits."""

import sys
from collections.abc import Mapping
from typing import Any, get_args

from serialize.formats.datetimes import Element, Unit
from serialize.manifest import Manifest
from serialize.signature import Column, ColumnKind, Container, NullMarker, Signature
from serialize.task import Task, TaskKind, Ties
from service.demo import MOST_ROWS
from service.errors import LISTED_FAULTS
from service.learning.comparison import FIRST, NEITHER, SECOND
from service.learning.gate.losses import LOSS_NAMES
from service.monitoring.comparison import CHANGES
from service.monitoring.intervals import LEVEL
from service.monitoring.task_metrics import QUANTILES
from service.prediction.moment import MOMENT
from service.prediction.true_label import LabelParser
from service.storage.learning.jobs import STATES
from service.storage.models.store import INCOMING, REFUSED, REGISTERED, RETIRED
from service.web.admin_payload import DAYS, MOST_LEARNED, MOST_PREFIX, MOST_REASON
from service.web.query import MOST_KEY, MOST_LIMIT

Schema = dict[str, Any]
Schemas = Mapping[str, Schema]


def integer(least: int, greatest: int | None = None) -> Schema:
    """An integer within limits."""
    return {"type": "integer", "minimum": least, **({} if greatest is None else {"maximum": greatest})}


def reference(name: str, kind: str = "schemas") -> Schema:
    """A reference to a component of the document by its name."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _each(schema: Schema, *names: str) -> dict[str, Schema]:
    """Members that all have the same schema."""
    return dict.fromkeys(names, schema)


def _object(optional: Schemas | None = None, /, **required: Schema) -> Schema:
    """An object of these members and no other."""
    members = {**required, **(optional or {})}
    return {"type": "object", "properties": members, "required": list(required), "additionalProperties": False}


def _mapping(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _array(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


def _nullable(schema: Schema) -> Schema:
    types = schema["type"]
    return {**schema, "type": [*(types if isinstance(types, list) else [types]), "null"]}


NO_NUL = r"^[^\u0000]*$"
TEXT: Schema = {"type": "string"}
ID_TEXT: Schema = {**TEXT, "minLength": 1, "maxLength": 255, "pattern": NO_NUL}
OBSERVATION_ID: Schema = {
    "description": 'The client chooses it; 0 and "0" are different ids. Write an integer of 2**53 or more without a '
    "fraction and an exponent: 9007199254740993.0 is refused, because it would be rounded onto another id.",
    "anyOf": [integer(-(2**63), 2**63 - 1), ID_TEXT],
}
VERSION: Schema = {**TEXT, "pattern": "^[0-9a-f]{12}$"}

_BOOLEAN: Schema = {"type": "boolean"}
_REAL: Schema = {"type": "number"}
_REAL_OR_NULL = _nullable(_REAL)
_COUNT = integer(0)
_SHARE: Schema = {**_REAL, "minimum": 0, "maximum": 1}
_SHARE_OR_NULL = _nullable(_SHARE)
_TIME: Schema = {**TEXT, "format": "date-time"}
_FILLED: Schema = {**TEXT, "minLength": 1}
_LABEL: Schema = {"type": ["boolean", "number", "string"]}
_LABEL_OR_NULL = _nullable(_LABEL)
_INTERVAL = _each(_REAL_OR_NULL, "value", "low", "high")
_METHOD: Schema = {**TEXT, "description": 'How the training figures were measured, such as "in-sample".'}
_DRIFT_VERDICT: Schema = {"enum": ["ok", "watch", "drifted", None]}
_TYPES: Mapping[ColumnKind, str] = {"boolean": "boolean", "integer": "integer", "number": "number", "text": "string"}
_CLASS_METRICS = ("accuracy", "balanced_accuracy", "log_loss", "expected_calibration_error")
METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "binary": (*_CLASS_METRICS, "precision", "recall", "f1", "roc_auc", "average_precision", "brier_score"),
    "multiclass": (*_CLASS_METRICS, "precision_macro", "recall_macro", "f1_macro"),
    "regression": ("mean_absolute_error", "root_mean_squared_error", "r2", "bias"),
}
_COLUMN_CARD = _object(
    {
        "categories": _array(_LABEL_OR_NULL),
        "levels": _object(values=_array(_LABEL_OR_NULL), dtype=TEXT, ordered=_BOOLEAN),
        **_each(_REAL, "minimum", "maximum", "largest"),
        "longest": _COUNT,
        "accepts_unseen": _BOOLEAN,
        "datetimes": _object(
            {"element": {"enum": list(get_args(Element))}, **_each(TEXT, "zone", "earliest", "latest")},
            unit={"enum": list(get_args(Unit))},
        ),
    },
    **_each(TEXT, "name", "dtype"),
    kind={"enum": list(get_args(ColumnKind))},
    null={"enum": list(get_args(NullMarker))},
    nullable=_BOOLEAN,
)
_SPREAD = _object({"std": _REAL, "folds": _COUNT}, mean=_REAL)
_SCORING = {
    **_object(
        {
            "native": {**_array(TEXT), "description": "The steps of the pipeline that the compiled form calls."},
            "row_us": {**_mapping(_REAL), "description": "The microseconds of one row, when the model was dumped."},
            "rows_per_second": {**_mapping(_REAL), "description": "The same for 1,000 rows by column."},
            "arrays": {"enum": ["compiled", "pipeline"], "description": "What answers arrays of 500 and more."},
        }
    ),
    "description": "How the model answers; empty for a model of an older version.",
}
# The log may hold predictions of other models, so a row of it is wider than a prediction of the served model.
_ROW: Schemas = {
    "id": reference("RowKey"),
    "observation_id": reference("ObservationId"),
    "observation": {"description": "The observation as the service stored it."},
    "model_version": _nullable(TEXT),
    "threshold": _SHARE_OR_NULL,
    "created_at": _TIME,
    "labelled_at": _nullable(_TIME),
}
_SCORE: Schemas = {
    **_each(_LABEL_OR_NULL, "predicted_class", "true_class"),
    **_each(_REAL_OR_NULL, "predicted_value", "true_value"),
    "proba": _SHARE_OR_NULL,
    "probas": _mapping(_SHARE_OR_NULL),
}
_CORRECTION = _object(
    **_each(_TIME, "labelled_at", "replaced_at"), replaced_class=_LABEL_OR_NULL, replaced_value=_REAL_OR_NULL
)
_BIN = _object(**_each(_SHARE, "from", "to"), count=_COUNT, mean_proba=_SHARE_OR_NULL, share=_object(**_INTERVAL))
_BRIER = _object(**_each(_REAL, "reliability", "resolution", "uncertainty", "within_bins"))
_DELAY = _object(**_each(_REAL_OR_NULL, "median", "p90"))
_OF_CLASS = _object(labelled=_COUNT, metrics=_object(**_each(reference("Figure"), "precision", "recall", "f1")))
_ESTIMATE = _object(
    method={"const": "CBPE"}, count=_COUNT, calibrated_on=_nullable(_COUNT), metrics=_mapping(_REAL_OR_NULL)
)
FACTS = (
    *("task", "classes", "positive_class", "threshold", "ties", "signature", "metrics", "importances"),
    *("libraries", "not_compiled", "scoring", "warnings", "class_counts"),
)
_REASON: Schema = {
    **_nullable(TEXT),
    "minLength": 1,
    "maxLength": MOST_REASON,
    "pattern": NO_NUL,
    "description": "A text for the history of promotions.",
}
_LISTED_MODEL: Schemas = {
    "version": VERSION,
    "name": TEXT,
    "state": {"enum": [INCOMING, REGISTERED, REFUSED, RETIRED]},
    "registered_at": _TIME,
    "registered_by": TEXT,
    "trained_until": {**_nullable(integer(1)), "description": "The newest row of the log that it was trained on."},
    "note": _nullable(TEXT),
    "champion": _BOOLEAN,
}
_VERDICT = {
    "type": ["object", "null"],
    "description": "What the gate said of a retrained model, with its figures; null for any other model.",
}
_PROMOTION = _object(
    **_each(_nullable(VERSION), "from"),
    id=integer(1),
    to=VERSION,
    at=_TIME,
    by=TEXT,
    reason=_nullable(TEXT),
    figures=_nullable({"type": "object"}),
    undoes={**_nullable(integer(1)), "description": "The id of the promotion that a rollback undid."},
)

# The schemas that are the same for every model.
_COMMON: Schemas = {
    "ObservationId": OBSERVATION_ID,
    "RowKey": {**integer(1, MOST_KEY), "description": "The key of the row."},
    "Prediction": _object(id=reference("ObservationId"), observation=reference("Observation")),
    "Index": _object(
        **_each(TEXT, "name", "version"),
        model=_object(name=TEXT, version=VERSION, task={"enum": list(get_args(TaskKind))}),
        links=_mapping({**TEXT, "pattern": "^/", "description": "The path of the operation with this operationId."}),
    ),
    "Model": _object(
        name=TEXT,
        version=VERSION,
        task={"enum": list(get_args(TaskKind))},
        classes=_array(_LABEL),
        positive_class=_LABEL_OR_NULL,
        threshold=_SHARE_OR_NULL,
        ties={"enum": list(get_args(Ties)), "description": "What decides the class at the threshold."},
        signature=_object(container={"enum": list(get_args(Container))}, columns=_array(_COLUMN_CARD)),
        metrics=_object({"splitter": TEXT, "baseline": _mapping(_SPREAD)}, method=_METHOD, metrics=_mapping(_SPREAD)),
        importances=_object({"note": TEXT}, metric=TEXT, columns=_mapping(_SPREAD)),
        libraries=_mapping(TEXT),
        compiled=_BOOLEAN,
        not_compiled=_nullable(TEXT),
        scoring=_SCORING,
        warnings=_array(TEXT),
        class_counts=_mapping(_COUNT),
        serving={**VERSION, "description": "The same as `version`."},
        wanted={**_nullable(VERSION), "description": "The champion of the registry; null if it is off or has none."},
        why={**_nullable(TEXT), "description": "Why the champion does not serve; null if it does, or is being loaded."},
    ),
    "Logged": _object(_SCORE, **_ROW),
    "LoggedPage": _object(
        predictions=_array(reference("Logged"), maxItems=MOST_LIMIT),
        next={**_nullable(TEXT), "description": "The relative URL of the next page; null on the last page."},
    ),
    "Erased": _object(_SCORE, **_ROW, corrections=_array(_CORRECTION)),
    "Emptying": _object(database={**TEXT, "description": "The database name at the end of DATABASE_URL."}),
    "Emptied": _object(export=TEXT, rows=_COUNT),
    "Seeding": _object({"rows": integer(1, MOST_ROWS)}),
    "Seeded": _object(recipe=TEXT, rows=integer(1)),
    "Figure": _object(**_INTERVAL, training=_REAL_OR_NULL),
    "Comparison": _object(
        **_each(TEXT, "first", "second"),
        **_each(_COUNT, "rows", "only_first", "only_second"),
        loss={"enum": list(dict.fromkeys(LOSS_NAMES.values()))},
        **_each(_REAL_OR_NULL, "first_loss", "second_loss"),
        difference=_object(**_INTERVAL),
        interval={"const": LEVEL},
        better={"enum": [FIRST, SECOND, NEITHER]},
    ),
    "Models": _object(
        champion=_nullable(VERSION),
        models=_array(_object(**_LISTED_MODEL), maxItems=MOST_LIMIT),
        promotions=_array(_PROMOTION, maxItems=MOST_LIMIT),
    ),
    "Promoting": _object({"reason": _REASON, "force": _BOOLEAN}),
    "RollingBack": _object({"reason": _REASON}),
    "Promoted": _object(champion=VERSION, before=_nullable(VERSION)),
    "Job": _object(
        id=integer(1, MOST_KEY),
        **_each(TEXT, "kind", "created_by"),
        arguments={"type": "object"},
        state={"enum": list(STATES)},
        progress={**_SHARE, "description": "How much is done."},
        message={**TEXT, "description": "What happens now, or happened last."},
        attempt={**_COUNT, "description": "How many workers took it; the second takes it if the first was lost."},
        worker={**_nullable(TEXT), "description": "The host and the process of the worker that took it last."},
        created_at=_TIME,
        **_each(_nullable(_TIME), "heartbeat", "started_at", "finished_at"),
        result={"type": ["object", "null"], "description": "What a job that succeeded found and did."},
        error={**_nullable(TEXT), "description": "Why a job failed."},
    ),
    "Jobs": _object(
        jobs=_array(reference("Job"), maxItems=MOST_LIMIT),
        worker_seen={
            **_REAL_OR_NULL,
            "minimum": 0,
            "description": "How many seconds ago a worker was last seen; null if there is none.",
        },
    ),
    "Drift": _object(
        **_each(_COUNT, "count", "compared"),
        **_each(TEXT, "model_version", "reference"),
        verdict=_DRIFT_VERDICT,
        drifted=_array(TEXT),
        columns=_mapping(reference("DriftOfColumn")),
    ),
    "DriftOfColumn": _object(
        {
            "null_rate": _SHARE_OR_NULL,
            **_each(_SHARE, "reference_null_rate", "unseen_rate", "out_of_range_rate", "distance"),
            **_each(_SHARE, "unknown_words_rate", "reference_unknown_words_rate"),
            **_each(_REAL, "psi", "noise_floor"),
            "test": {"enum": ["Kolmogorov-Smirnov", "chi-squared", "distance"]},
        },
        kind={"enum": [*get_args(ColumnKind), "output"]},
        count=_COUNT,
        p_value=_SHARE_OR_NULL,
        verdict=_DRIFT_VERDICT,
        changes=_array({"enum": list(CHANGES)}),
    ),
    "MetricsText": TEXT,
    "Up": _object(status={"const": "up"}),
    "Ready": _object(status={"const": "ready"}),
    "OpenAPI": _object(openapi=TEXT, info=_mapping(TEXT), **_each(_mapping({"type": "object"}), "paths", "components")),
    "Fault": _object(
        pointer={**TEXT, "pattern": "^(/|$)", "description": "The JSON pointer (RFC 6901) to the place."},
        **_each(TEXT, "detail", "expected"),
        value={"description": "The value at that place; a long value is cut and becomes a string."},
    ),
    "Problem": _object(
        {"errors": _array(reference("Fault"), minItems=1, maxItems=LISTED_FAULTS)},
        type={**TEXT, "pattern": "^urn:prediction-service:problem:[a-z0-9-]+$"},
        **_each(_FILLED, "title", "detail"),
        status=integer(400, 599),
        instance={**TEXT, "pattern": "^urn:request:"},
        error={**_FILLED, "description": "The same text as detail, for clients that read only this member."},
    ),
}


def schemas(manifest: Manifest, max_items: int) -> dict[str, Schema]:
    """Every schema by name; `max_items` is the most that an array may hold."""
    task, signature = manifest.task, manifest.signature
    prediction = _prediction(task)
    card = _COMMON["Model"]["properties"]
    return {
        **_COMMON,
        "RegisteredModel": _object(**_LISTED_MODEL, **{name: card[name] for name in FACTS}, verdict=_VERDICT),
        "Observation": observation(signature),
        "Predictions": _one_or_many("Prediction", max_items),
        "TrueLabel": _object(id=reference("ObservationId"), **{LabelParser(task).name: label(task)}),
        "TrueLabels": _one_or_many("TrueLabel", max_items),
        "Predicted": _object(**prediction),
        "PredictedOnes": _one_or_many("Predicted", max_items),
        "Updated": _object(**prediction, observation=observation(signature, is_stored=True)),
        "UpdatedOnes": _one_or_many("Updated", max_items),
        "Metrics": _object(**_each(reference("Figure"), *METRICS[task.kind])),
        "Performance": _performance(task),
        "Retraining": _retraining(signature),
    }


def observation(signature: Signature, *, is_stored: bool = False) -> Schema:
    """An observation of the model. A request may omit a nullable column; a stored observation has all columns."""
    required = [column.name for column in signature if is_stored or not column.nullable]
    return {**_object(**{column.name: _column(column) for column in signature}), "required": required}


def label(task: Task) -> Schema:
    """A true class in every form that the service takes, or a true value."""
    if task.kind == "regression":
        return {**_REAL, "description": "A double."}
    return {"enum": [*task.classes, *(int(one) for one in task.classes if isinstance(one, bool))]}


def _column(column: Column) -> Schema:
    if column.accepted == "category":
        return {"enum": [*(column.categories or ()), *([None] if column.nullable else [])]}
    if column.datetimes is not None:
        form = "date" if column.datetimes.unit == "D" else "date-time"
        described = f"Expected: {column.expected}."
        found = {**TEXT, "format": form, "pattern": column.datetimes.pattern, "description": described}
        return _nullable(found) if column.nullable else found
    schema: Schema = {"type": _TYPES[column.accepted]}
    if column.accepts_unseen:
        schema["description"] = f"The known values are {column.known}; others are accepted."
    if column.accepted == "text":
        schema |= {"maxLength": column.max_length, "pattern": NO_NUL}
    elif column.accepted != "boolean":
        least, greatest = column.limits  # those of a double need no mention, and cannot be exact
        schema |= {"minimum": least} if least > -sys.float_info.max else {}
        schema |= {"maximum": greatest} if greatest < sys.float_info.max else {}
    return _nullable(schema) if column.nullable else schema


def _prediction(task: Task) -> Schemas:
    """The members of a stored prediction in an answer."""
    members: dict[str, Schema] = {"id": reference("RowKey"), "observation_id": reference("ObservationId")}
    if task.kind == "regression":
        return {**members, "predicted_value": _REAL, "true_value": _REAL_OR_NULL}
    classes = list(task.classes)
    members |= {"predicted_class": {"enum": classes}, "proba": _SHARE, "true_class": {"enum": [*classes, None]}}
    return members | ({"probas": _object(**_each(_SHARE, *map(str, classes)))} if task.kind == "multiclass" else {})


def _performance(task: Task) -> Schema:
    metrics = reference("Metrics")
    part = {**_each(_COUNT, "count", "labelled"), "coverage": _SHARE_OR_NULL, "label_delay": _DELAY}
    window = _object(**_each(_TIME, "from", "to"), **part, metrics=metrics)
    verdict: Schema = {"enum": ["worse than the rest", "as the rest", "better than the rest", None]}
    group = _object(value={}, **part, metrics={"anyOf": [metrics, {"type": "null"}]}, verdict=verdict)
    matrix = _object(labels={"const": list(task.classes)}, counts=_array(_array(_COUNT)))
    by_task: dict[str, Schema] = {}
    if task.kind == "regression":
        by_task["error_quantiles"] = _object(**_each(_REAL_OR_NULL, *(f"{quantile:g}" for quantile in QUANTILES)))
    if task.kind == "multiclass":
        by_task["classes"] = _object(**_each(_OF_CLASS, *map(str, task.classes)))
    return _object(
        {"series": _array(window), "by": TEXT, "groups": _array(group), "comparison": reference("Comparison")},
        **part,
        metrics=metrics,
        threshold=_SHARE_OR_NULL,
        confusion_matrix={"type": "null"} if task.kind == "regression" else matrix,
        calibration=_nullable(_object(bins=_array(_BIN), brier_score=_BRIER)),
        estimate=_nullable(_ESTIMATE),
        interval={"const": 0.95},
        training_method=_METHOD,
        **by_task,
    )


def _retraining(signature: Signature) -> Schema:
    """The body of POST /admin/retrain. Every member may be missing."""
    count, column = integer(1, MOST_LEARNED), {"enum": list(signature.names)}
    moment = {**_nullable(TEXT), "pattern": MOMENT}
    window = {"anyOf": [_nullable(count), {**TEXT, "pattern": DAYS}]}
    return _object(
        {
            "promote": {**_BOOLEAN, "description": "Whether to promote the new model if the gate finds it better."},
            "window": {**window, "description": 'Only the newest rows: so many, or those of so many days ("30d").'},
            "max_rows": {**_nullable(count), "description": "The most rows of the log to train on."},
            "holdout": {
                **_nullable(count),
                "description": "The rows that judge; by default a number that grows with them.",
            },
            "since": {**moment, "description": "Only rows from this time on."},
            "until": {**moment, "description": "Only rows before this time."},
            "ids": {
                **_nullable(TEXT),
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
    many = {**_array(reference(name)), "description": f"At most {max_items} items; more are answered 413."}
    return {"oneOf": [reference(name), many]}
