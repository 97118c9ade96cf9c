"""The shape of an OpenAPI document, short enough to be kept and compared: what each operation takes and answers."""

from typing import Any


def document_shape(document: Any) -> dict[str, Any]:
    """For each operation its keys, parameters, body, success and other statuses, the schemas as `schema_shape` writes
    them, and once what all the other statuses answer."""
    listed = {
        f"{method.upper()} {path}": operation
        for path, operations in sorted(document["paths"].items())
        for method, operation in sorted(operations.items())
    }
    failures = {
        _content(document, _resolved(document, response))
        for operation in listed.values()
        for status, response in operation["responses"].items()
        if not status.startswith("2")
    }
    shapes = {name: _operation(document, operation) for name, operation in listed.items()}
    return {**shapes, "failures": sorted(failures)}


def schema_shape(document: Any, schema: Any) -> str:
    """The types of a schema with references resolved: `{name type}` for the members of an object, name? for one that
    may be missing, `[type]` for an array, `|` between types that are all valid."""
    schema = _resolved(document, schema)
    parts = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word, ())]
    if parts:
        return "|".join(sorted({one for part in parts if (one := schema_shape(document, part))}))
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return "|".join(sorted({*(_type(document, schema, one) for one in types), *map(repr, values)}))


def _operation(document: Any, operation: Any) -> dict[str, str]:
    parameters = [_resolved(document, one) for one in operation["parameters"]]
    shape = {
        "security": repr(operation["security"]),
        "parameters": " ".join(
            one["in"] + ":" + _member(document, one["name"], one["schema"], one.get("required", False))
            for one in sorted(parameters, key=lambda one: str(one["name"]))
        ),
    }
    if "requestBody" in operation:
        body = operation["requestBody"]
        shape["body" if body["required"] else "body?"] = _content(document, body)
    (status,) = [status for status in operation["responses"] if status.startswith("2")]
    shape[status] = _content(document, operation["responses"][status])
    shape["headers"] = " ".join(sorted(operation["responses"][status]["headers"]))
    return {**shape, "other statuses": " ".join(sorted({*operation["responses"]} - {status}))}


def _content(document: Any, holder: Any) -> str:
    media = sorted(holder["content"].items())
    return "; ".join(f"{name} {schema_shape(document, one['schema'])}" for name, one in media)


def _type(document: Any, schema: Any, name: str) -> str:
    if name == "array":
        return "[" + schema_shape(document, schema["items"]) + "]"
    if name in ("null", "boolean"):
        return name
    if name != "object":
        limits = ("minimum", "maximum", "minLength", "maxLength", "format")
        written = [f"{limit}={_number(schema[limit])}" for limit in limits if limit in schema]
        return " ".join([name, *written, *(["pattern"] if "pattern" in schema else [])])
    required, more = schema.get("required", ()), schema.get("additionalProperties", True)
    members = sorted(schema.get("properties", {}).items())
    listed = [_member(document, member, one, member in required) for member, one in members]
    if more is not False:
        listed.append("*" if more is True else "* " + schema_shape(document, more))
    return "{" + ", ".join(listed) + "}"


def _number(limit: Any) -> Any:
    """1 for 1.0, which mean the same in JSON."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _member(document: Any, name: str, schema: Any, required: bool) -> str:
    return f"{name}{'' if required else '?'} {schema_shape(document, schema)}".rstrip()


def _resolved(document: Any, schema: Any) -> Any:
    while "$ref" in schema:
        kind, name = schema["$ref"].split("/")[-2:]
        schema = document["components"][kind][name]
    return schema
