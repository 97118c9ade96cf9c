"""Compares the examples of an OpenAPI document with what the service answers to its example requests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema

from service.storage.learning.jobs import JobStore

Json = Any


def examples_of(content: Mapping[str, Json]) -> dict[str, Json]:
    """The examples of a media type by name."""
    return {name: example["value"] for name, example in content["examples"].items()}


def success_of(operation: Mapping[str, Json]) -> Json:
    """The response of an operation that succeeds."""
    (success,) = [response for status, response in operation["responses"].items() if status.startswith("2")]
    return success


def problem_examples(document: Json) -> dict[str, Json]:
    """The examples of all error responses by their name, which is the end of their `type`."""
    responses = document["components"]["responses"].values()
    return {
        name: body
        for response in responses
        for name, body in examples_of(response["content"]["application/problem+json"]).items()
    }


def answer_like(problem: Json, request_id: str) -> Json:
    """An example of a problem as the answer to the request with this id."""
    return json.loads(json.dumps(problem).replace(problem["instance"].rpartition(":")[2], request_id))


def assert_examples_are_true(
    client: Any, observations: Sequence[Mapping[str, Json]], admin_key: str, *, is_seeded: bool
) -> None:
    """Sends every example request to a service with an empty log in a database `example.db`, and compares each answer
    with the example response. `observations` fill the log, so that reports have figures. `is_seeded` says whether a
    built-in data set fits the model."""
    client.environ_base["HTTP_X_API_KEY"] = admin_key
    document = client.get("/openapi.json").json
    _assert_posts(document, client, "/predict")
    _assert_posts(document, client, "/update")
    truth = _request_examples(document, "/update")["one"]
    client.post("/predict", json=[{"id": f"row-{i}", "observation": each} for i, each in enumerate(observations)])
    client.post("/update", json=[{**truth, "id": f"row-{i}"} for i in range(len(observations) // 2)])
    jobs = JobStore(client.application.extensions["session"])
    example = examples_of(success_of(document["paths"]["/admin/retrain"]["post"])["content"]["application/json"])
    jobs.add("retrain", example["answer"]["arguments"], "me@here")
    jobs.saw_worker("here:1")
    for path, operations in document["paths"].items():
        if "get" in operations:
            _assert_get(document, client, path)
    (parameter,) = _query(document["paths"]["/predictions"]["delete"])
    _assert_answer(document, "/predictions", "delete", client.delete("/predictions", query_string=parameter))
    (job,) = client.get("/admin/jobs").json["jobs"]
    _assert_answer(document, "/admin/jobs/{job}", "delete", client.delete(f"/admin/jobs/{job['id']}"))
    if is_seeded:
        _assert_posts(document, client, "/admin/retrain")
        _assert_posts(document, client, "/admin/seed")
    _assert_posts(document, client, "/admin/reset")


def _assert_posts(document: Json, client: Any, path: str) -> None:
    for name, body in _request_examples(document, path).items():
        _assert_answer(document, path, "post", client.post(path, json=body), name)


def _assert_get(document: Json, client: Any, path: str) -> None:
    """Sends the request without parameters, with each of them, and with all."""
    operation = document["paths"][path]["get"]
    url = path.format(**{one["name"]: one["example"] for one in operation["parameters"] if one.get("in") == "path"})
    for media in operation["responses"]["200"]["content"]:
        _assert_answer(document, path, "get", client.get(url, headers={"Accept": media}))
    parameters = _query(operation)
    everything = {name: value for each in parameters for name, value in each.items()}
    for query in (*parameters, *([everything] if everything else [])):
        response = client.get(url, query_string=query)
        assert response.status_code == 200, (path, query, response.json)
        _require(document, operation["responses"]["200"]["content"]["application/json"]["schema"], response.json)


def _query(operation: Json) -> list[dict[str, Json]]:
    """The example of each query parameter."""
    return [{one["name"]: one["example"]} for one in operation["parameters"] if one.get("in") == "query"]


def _request_examples(document: Json, path: str) -> dict[str, Json]:
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    for body in examples_of(content).values():
        _require(document, content["schema"], body)
    return examples_of(content)


def _assert_answer(document: Json, path: str, method: str, response: Any, name: str = "") -> None:
    """Compares a response with the example of this name, or with the only one."""
    operation = document["paths"][path][method]
    assert str(response.status_code) in operation["responses"], (path, response.json)
    assert 200 <= response.status_code < 300, (path, response.json)
    content = success_of(operation)["content"][response.mimetype]
    examples = examples_of(content)
    example = next(iter(examples.values())) if len(examples) == 1 else examples[name]
    if response.mimetype == "text/plain":
        assert set(_without_values(example)) <= set(_without_values(response.text))
        return
    answer = response.json if response.is_json else _first_line(response)
    for body in (example, answer):
        _require(document, content["schema"], body)
    found = list(_differences(document, content["schema"], example, answer, f"{method} {path}:"))
    assert not found, found


def _without_values(metrics: str) -> list[str]:
    return [line if line.startswith("#") else line.rpartition(" ")[0] for line in metrics.splitlines()]


def _first_line(response: Any) -> Json:
    return json.loads(response.text.splitlines()[0])


def _require(document: Json, schema: Json, body: Json) -> None:
    _validator(document, schema).validate(body)


def _validator(document: Json, schema: Json) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


def _differences(document: Json, schema: Json, example: Json, answer: Json, where: str) -> Iterator[str]:
    """Where the keys and types of an example are not those of the answer. Null is a value of any type, because both
    fit the schema; an example of a map has some of its keys, and one of an array some of its items."""
    schema = _resolved(document, schema, example)
    if example is None or answer is None:
        return
    if (found := _type(answer)) != _type(example):
        yield f"{where} {_type(example)}, not {found}"
    elif isinstance(example, dict):
        values = schema.get("additionalProperties")
        is_map = isinstance(values, dict)
        if not set(example) <= set(answer) or not (is_map or set(example) == set(answer)):
            yield f"{where} {sorted(example)}, not {sorted(answer)}"
            return
        for name in example:
            inner = values if is_map else schema.get("properties", {}).get(name, {})
            yield from _differences(document, inner, example[name], answer[name], f"{where}/{name}")
    elif isinstance(example, list):
        for i, each in enumerate(example):
            if not answer:
                yield f"{where} is empty"
                return
            yield from _differences(document, schema.get("items", {}), each, answer[min(i, len(answer) - 1)], where)


def _resolved(document: Json, schema: Json, body: Json) -> Json:
    """The schema that a reference leads to; of alternatives the one that admits the body."""
    while "$ref" in schema or "oneOf" in schema or "anyOf" in schema:
        if "$ref" in schema:
            kind, name = schema["$ref"].split("/")[-2:]
            schema = document["components"][kind][name]
        else:
            parts = schema.get("oneOf") or schema["anyOf"]
            schema = next(part for part in parts if _validator(document, part).is_valid(body))
    return schema


def _type(value: Json) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]
