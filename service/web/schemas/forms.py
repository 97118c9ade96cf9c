"""Parts of the schemas: objects, arrays and null, and the values that many bodies have."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
Schemas = Mapping[str, Schema]


def integer(least: int, greatest: int | None = None) -> Schema:
    """An integer within limits."""
    return {"type": "integer", "minimum": least, **({} if greatest is None else {"maximum": greatest})}


def reference(name: str, kind: str = "schemas") -> Schema:
    """A reference to a component of the document by its name."""
    return {"$ref": f"#/components/{kind}/{name}"}


def each(schema: Schema, *names: str) -> dict[str, Schema]:
    """Members that all have the same schema."""
    return dict.fromkeys(names, schema)


def record(optional: Schemas | None = None, /, **required: Schema) -> Schema:
    """An object of these members and no other; those of `optional` may be missing."""
    members = {**required, **(optional or {})}
    return {"type": "object", "properties": members, "required": list(required), "additionalProperties": False}


def mapping(values: Schema) -> Schema:
    """An object with any members of one schema."""
    return {"type": "object", "additionalProperties": values}


def array(items: Schema, **limits: int) -> Schema:
    """An array, with limits such as `maxItems`."""
    return {"type": "array", "items": items, **limits}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
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

BOOLEAN: Schema = {"type": "boolean"}
REAL: Schema = {"type": "number"}
REAL_OR_NULL = nullable(REAL)
COUNT = integer(0)
SHARE: Schema = {**REAL, "minimum": 0, "maximum": 1}
SHARE_OR_NULL = nullable(SHARE)
TIME: Schema = {**TEXT, "format": "date-time"}
FILLED: Schema = {**TEXT, "minLength": 1}
LABEL: Schema = {"type": ["boolean", "number", "string"]}
LABEL_OR_NULL = nullable(LABEL)
INTERVAL = each(REAL_OR_NULL, "value", "low", "high")
METHOD: Schema = {**TEXT, "description": 'How the training figures were measured, such as "in-sample".'}
