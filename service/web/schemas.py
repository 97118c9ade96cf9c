"""The JSON Schemas (draft 2020-12) of every body that is taken and answered, made from the artifact's manifest: what a
schema admits is taken, and what it does not is refused."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from serialize.manifest import Manifest
from serialize.signature import Column, ColumnKind, Container, NullMarker, Scalar, Signature
from serialize.task import Task, TaskKind
from service.demo import MOST_ROWS
from service.errors import LISTED_FAULTS

Schema = dict[str, Any]

NO_NUL = r"^[^\u0000]*$"

_INT64_MAX = 2**63 - 1
_TYPES: Mapping[ColumnKind, str] = {"boolean": "boolean", "integer": "integer", "number": "number", "text": "string"}
_PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_LABEL: Schema = {"type": ["boolean", "number", "string"]}
_SCALAR: Schema = {"type": ["boolean", "number", "string", "null"]}


def schemas(manifest: Manifest, max_items: int) -> dict[str, Schema]:
    """Every schema by its name; `max_items` is the most that an array may hold."""
    return {
        "ObservationId": observation_id(),
        "Observation": observation(manifest.signature),
        "Prediction": closed({"id": reference("ObservationId"), "observation": reference("Observation")}),
        "Predictions": _one_or_many("Prediction", max_items),
        "TrueLabel": _true_label(manifest.task),
        "TrueLabels": _one_or_many("TrueLabel", max_items),
        "Predicted": closed(_answered(manifest.task)),
        "PredictedOnes": _one_or_many("Predicted", max_items),
        "Updated": closed(
            {**_answered(manifest.task), "observation": observation(manifest.signature, is_whole=True)},
        ),
        "UpdatedOnes": _one_or_many("Updated", max_items),
        "Model": _model(),
        "Emptying": closed({"database": {"type": "string", "description": "The name that DATABASE_URL ends with."}}),
        "Emptied": closed({"export": {"type": "string"}, "rows": {"type": "integer", "minimum": 0}}),
        "Seeding": closed({"rows": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}}, ()),
        "Seeded": closed({"recipe": {"type": "string"}, "rows": {"type": "integer", "minimum": 1}}),
        "MetricsText": {"type": "string"},
        "Up": closed({"status": {"const": "up"}}),
        "Ready": closed({"status": {"const": "ready"}}),
        "OpenAPI": {"type": "object", "required": ["openapi", "info", "paths", "components"]},
        "Fault": _fault(),
        "Problem": _problem(),
    }


def reference(name: str) -> Schema:
    """A reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def observation_id() -> Schema:
    """The caller's id."""
    integer = {"type": "integer", "minimum": -_INT64_MAX - 1, "maximum": _INT64_MAX}
    return {"description": 'The caller\'s own id; 0 and "0" are two.', "anyOf": [integer, id_as_text()]}


def id_as_text() -> Schema:
    """A text that may be an id, or stand for one."""
    return {"type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_NUL}


def observation(signature: Signature, *, is_whole: bool = False) -> Schema:
    """An observation of the model: as it is taken, where a column that may be null may be left out, or `is_whole` as
    it is stored."""
    required = [column.name for column in signature if is_whole or not column.nullable]
    return closed({column.name: _column(column) for column in signature}, required)


def label(task: Task) -> Schema:
    """A true label in every form in which it is taken, or a true value."""
    if task.kind == "regression":
        return {"type": "number", "description": "What a double holds."}
    forms = [int(one) for one in task.classes if isinstance(one, bool)]
    return {"enum": [*task.classes, *forms]}


def _column(column: Column) -> Schema:
    if column.kind == "category":
        values: list[Scalar] = list(column.categories or ())
        return {"enum": [*values, None] if column.nullable else values}
    schema: Schema = {"type": [_TYPES[column.kind], "null"] if column.nullable else _TYPES[column.kind]}
    if column.kind == "text":
        return {**schema, "maxLength": column.max_length, "pattern": NO_NUL}
    return schema if column.kind == "boolean" else {**schema, **_limits(*column.limits)}


def _limits(least: float, greatest: float) -> Schema:
    """The limits of a number; what a double holds needs no limit, and has none that can be written exactly."""
    low: Schema = {} if least <= -sys.float_info.max else {"minimum": least}
    return low if greatest >= sys.float_info.max else {**low, "maximum": greatest}


def _true_label(task: Task) -> Schema:
    name = "true_value" if task.kind == "regression" else "true_class"
    return closed({"id": reference("ObservationId"), name: label(task)})


def _answered(task: Task) -> dict[str, Schema]:
    """The members of a stored prediction as it is answered."""
    row = {"type": "integer", "minimum": 1, "maximum": _INT64_MAX, "description": "The row's own key."}
    head = {"id": row, "observation_id": reference("ObservationId")}
    if task.kind == "regression":
        return {**head, "predicted_value": {"type": "number"}, "true_value": {"type": ["number", "null"]}}
    classes = list(task.classes)
    members = {
        **head,
        "predicted_class": {"enum": classes},
        "proba": _PROBABILITY,
        "true_class": {"enum": [*classes, None]},
    }
    if task.kind == "multiclass":
        members["probas"] = closed(dict.fromkeys(map(str, classes), _PROBABILITY))
    return members


def _model() -> Schema:
    return closed(
        {
            "name": {"type": "string"},
            "version": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
            "task": {"enum": list(get_args(TaskKind))},
            "classes": {"type": "array", "items": _LABEL},
            "positive_class": {"type": [*_LABEL["type"], "null"]},
            "threshold": {**_PROBABILITY, "type": ["number", "null"]},
            "signature": closed(
                {"container": {"enum": list(get_args(Container))}, "columns": {"type": "array", "items": _card()}}
            ),
            "metrics": {"type": "object"},
            "importances": {"type": "object"},
            "libraries": {"type": "object", "additionalProperties": {"type": "string"}},
            "compiled": {"type": "boolean"},
            "not_compiled": {"type": ["string", "null"]},
        }
    )


def _card() -> Schema:
    """A column as the model card has it."""
    values = {"type": "array", "items": _SCALAR}
    return closed(
        {
            "name": {"type": "string"},
            "kind": {"enum": list(get_args(ColumnKind))},
            "nullable": {"type": "boolean"},
            "dtype": {"type": "string"},
            "null": {"enum": list(get_args(NullMarker))},
            "categories": values,
            "levels": closed({"values": values, "dtype": {"type": "string"}, "ordered": {"type": "boolean"}}),
            "minimum": {"type": "number"},
            "maximum": {"type": "number"},
            "longest": {"type": "integer", "minimum": 0},
            "largest": {"type": "number"},
        },
        required=["name", "kind", "nullable", "dtype", "null"],
    )


def _fault() -> Schema:
    return closed(
        {
            "pointer": {
                "type": "string",
                "pattern": "^(/|$)",
                "description": "A JSON pointer (RFC 6901) to the place.",
            },
            "detail": {"type": "string"},
            "value": {"description": "What stands there; a long value is cut, as a string."},
            "expected": {"type": "string"},
        }
    )


def _problem() -> Schema:
    """A failure (RFC 9457)."""
    text = {"type": "string", "minLength": 1}
    return closed(
        {
            "type": {"type": "string", "pattern": "^urn:prediction-service:problem:[a-z0-9-]+$"},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": text,
            "instance": {"type": "string", "pattern": "^urn:request:"},
            "error": {**text, "description": "The detail again, for clients that read only this."},
            "errors": {"type": "array", "items": reference("Fault"), "minItems": 1, "maxItems": LISTED_FAULTS},
        },
        required=["type", "title", "status", "detail", "instance", "error"],
    )


def _one_or_many(name: str, max_items: int) -> Schema:
    """One object or an array of them. The limit is said in words, for what is over it is 413 as a longer body is, and
    who reads maxItems expects another status."""
    many = {"type": "array", "items": reference(name), "description": f"At most {max_items} items; more are 413."}
    return {"oneOf": [reference(name), many]}


def closed(properties: Mapping[str, Schema], required: Sequence[str] | None = None) -> Schema:
    """An object of these members and no other; all are required unless it is said which are."""
    names = list(properties if required is None else required)
    return {"type": "object", "properties": dict(properties), "required": names, "additionalProperties": False}
