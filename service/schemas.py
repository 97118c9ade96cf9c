"""The JSON Schemas (draft 2020-12) of every body that the service takes and answers, made from the artifact's manifest.
The service takes exactly the bodies that their schema admits."""

import sys
from collections.abc import Mapping
from typing import Any, get_args

from serialize.manifest import Manifest
from serialize.signature import Column, Container, Kind, NullMarker, Signature
from serialize.task import Task, TaskKind
from service.demo import MOST_ROWS
from service.errors import LISTED_FAULTS
from service.log_query import MOST_KEY, MOST_LIMIT

Schema = dict[str, Any]
Schemas = Mapping[str, Schema]

NO_NUL = r"^[^\u0000]*$"
BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}
REAL: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
DATE_TIME: Schema = {"type": "string", "format": "date-time"}
VERSION: Schema = {"type": "string", "pattern": "^[0-9a-f]{12}$"}
ID_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_NUL}

_LABEL: Schema = {"type": ["boolean", "number", "string"]}
_TYPES: Mapping[Kind, str] = {"boolean": "boolean", "integer": "integer", "number": "number", "text": "string"}


def closed(required: Schemas, optional: Schemas | None = None) -> Schema:
    """An object of these members and no other."""
    members = {**required, **(optional or {})}
    return {"type": "object", "properties": members, "required": list(required), "additionalProperties": False}


def each(schema: Schema, *names: str) -> dict[str, Schema]:
    """Members that all have the same schema."""
    return dict.fromkeys(names, schema)


def mapping(values: Schema) -> Schema:
    """An object with members of any name."""
    return {"type": "object", "additionalProperties": values}


def array(items: Schema) -> Schema:
    """An array of any length."""
    return {"type": "array", "items": items}


def reference(name: str) -> Schema:
    """A reference to a schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """The same schema, but null is valid too."""
    types = schema.get("type")
    if types is None:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [*([types] if isinstance(types, str) else types), "null"]}


def schemas(manifest: Manifest, max_items: int) -> dict[str, Schema]:
    """Every schema by name, without those of the reports; `max_items` is the most that an array may hold."""
    task, signature = manifest.task, manifest.signature
    answer = _answer(task)
    bodies = {
        "Prediction": closed({"id": reference("ObservationId"), "observation": reference("Observation")}),
        "TrueLabel": closed({"id": reference("ObservationId"), _label_name(task): label(task)}),
        "Predicted": closed(answer),
        "Updated": closed({**answer, "observation": observation(signature, is_stored=True)}),
    }
    lists = {"Prediction": "Predictions", "TrueLabel": "TrueLabels", "Predicted": "PredictedOnes"}
    return {
        "ObservationId": observation_id(),
        "RowKey": {"type": "integer", "minimum": 1, "maximum": MOST_KEY, "description": "The key of the row."},
        "Observation": observation(signature),
        **bodies,
        **{many: _one_or_many(one, max_items) for one, many in {**lists, "Updated": "UpdatedOnes"}.items()},
        "Model": _model(),
        "Emptying": closed({"database": {**TEXT, "description": "The database name at the end of DATABASE_URL."}}),
        "Emptied": closed({"export": TEXT, "rows": COUNT}),
        "Seeding": closed({}, {"rows": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}}),
        "Seeded": closed({"recipe": TEXT, "rows": {"type": "integer", "minimum": 1}}),
        **_log(),
        "MetricsText": TEXT,
        "Up": closed({"status": {"const": "up"}}),
        "Ready": closed({"status": {"const": "ready"}}),
        "OpenAPI": {"type": "object", "required": ["openapi", "info", "paths", "components"]},
        **_problem(),
    }


def observation_id() -> Schema:
    """The id that the client chooses."""
    integer = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    return {"description": 'The client chooses it; 0 and "0" are different ids.', "anyOf": [integer, ID_TEXT]}


def observation(signature: Signature, *, is_stored: bool = False) -> Schema:
    """An observation of the model. A request may omit a nullable column; a stored observation has all columns."""
    required = [column.name for column in signature if is_stored or not column.nullable]
    return {**closed({column.name: _column(column) for column in signature}), "required": required}


def label(task: Task) -> Schema:
    """A true class in every form that the service takes, or a true value."""
    if task.kind == "regression":
        return {**REAL, "description": "A double."}
    return {"enum": [*task.classes, *(int(one) for one in task.classes if isinstance(one, bool))]}


def _label_name(task: Task) -> str:
    return "true_value" if task.kind == "regression" else "true_class"


def _column(column: Column) -> Schema:
    if column.kind == "category":
        return {"enum": [*(column.categories or ()), *([None] if column.nullable else [])]}
    schema: Schema = {"type": _TYPES[column.kind]}
    if column.kind == "text":
        schema |= {"maxLength": column.max_length, "pattern": NO_NUL}
    elif column.kind != "boolean":
        schema |= _limits(*column.limits)
    return nullable(schema) if column.nullable else schema


def _limits(least: float, greatest: float) -> Schema:
    """The limits of a number. Those of a double are left out: JSON has no larger number that a reader could refuse."""
    low: Schema = {} if least <= -sys.float_info.max else {"minimum": least}
    return low if greatest >= sys.float_info.max else {**low, "maximum": greatest}


def _answer(task: Task) -> dict[str, Schema]:
    """The members of a stored prediction in an answer."""
    head = {"id": reference("RowKey"), "observation_id": reference("ObservationId")}
    if task.kind == "regression":
        return {**head, "predicted_value": REAL, "true_value": nullable(REAL)}
    classes = list(task.classes)
    members = {**head, "predicted_class": {"enum": classes}, "proba": SHARE, "true_class": {"enum": [*classes, None]}}
    if task.kind == "multiclass":
        members["probas"] = closed(each(SHARE, *map(str, classes)))
    return members


def _model() -> Schema:
    values = array(nullable(_LABEL))
    column = closed(
        {
            **each(TEXT, "name", "dtype"),
            "kind": {"enum": list(get_args(Kind))},
            "nullable": BOOLEAN,
            "null": {"enum": list(get_args(NullMarker))},
        },
        {
            "categories": values,
            "levels": closed({"values": values, "dtype": TEXT, "ordered": BOOLEAN}),
            **each(REAL, "minimum", "maximum", "largest"),
            "longest": COUNT,
        },
    )
    return closed(
        {
            "name": TEXT,
            "version": VERSION,
            "task": {"enum": list(get_args(TaskKind))},
            "classes": array(_LABEL),
            "positive_class": nullable(_LABEL),
            "threshold": nullable(SHARE),
            "signature": closed({"container": {"enum": list(get_args(Container))}, "columns": array(column)}),
            **each({"type": "object"}, "metrics", "importances"),
            "libraries": mapping(TEXT),
            "compiled": BOOLEAN,
            "not_compiled": nullable(TEXT),
        }
    )


def _log() -> dict[str, Schema]:
    """The rows of the log. The log may hold predictions of other models, so these schemas are wider than those of the
    served model."""
    correction = closed(
        {
            "replaced_class": nullable(_LABEL),
            "replaced_value": nullable(REAL),
            **each(DATE_TIME, "labelled_at", "replaced_at"),
        }
    )
    required = {
        "id": reference("RowKey"),
        "observation_id": reference("ObservationId"),
        "observation": {"description": "The observation as the service stored it."},
        "model_version": nullable(TEXT),
        "threshold": nullable(SHARE),
        "created_at": DATE_TIME,
        "labelled_at": nullable(DATE_TIME),
    }
    optional = {
        **each(nullable(_LABEL), "predicted_class", "true_class"),
        "proba": nullable(SHARE),
        "probas": mapping(nullable(SHARE)),
        **each(nullable(REAL), "predicted_value", "true_value"),
    }
    next_page = {**nullable(TEXT), "description": "The relative URL of the next page; null on the last page."}
    return {
        "Logged": closed(required, optional),
        "LoggedPage": closed(
            {"predictions": {**array(reference("Logged")), "maxItems": MOST_LIMIT}, "next": next_page}
        ),
        "Erased": closed({**required, "corrections": array(correction)}, optional),
    }


def _problem() -> dict[str, Schema]:
    """A failure (RFC 9457), and one fault of a request."""
    filled = {**TEXT, "minLength": 1}
    faults = {**array(reference("Fault")), "minItems": 1, "maxItems": LISTED_FAULTS}
    required = {
        "type": {**TEXT, "pattern": "^urn:prediction-service:problem:[a-z0-9-]+$"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        **each(filled, "title", "detail"),
        "instance": {**TEXT, "pattern": "^urn:request:"},
        "error": {**filled, "description": "The same text as detail, for clients that read only this member."},
    }
    fault = {
        "pointer": {**TEXT, "pattern": "^(/|$)", "description": "The JSON pointer (RFC 6901) to the place."},
        **each(TEXT, "detail", "expected"),
        "value": {"description": "The value at that place; a long value is cut and becomes a string."},
    }
    return {"Fault": closed(fault), "Problem": closed(required, {"errors": faults})}


def _one_or_many(name: str, max_items: int) -> Schema:
    """One object or an array of them. The description states the limit, not maxItems: a longer array is answered 413,
    and tools expect 422 for a body that its schema refuses."""
    many = {**array(reference(name)), "description": f"At most {max_items} items; more are answered 413."}
    return {"oneOf": [reference(name), many]}
