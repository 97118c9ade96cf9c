"""The routes of the API: what each takes, what its success answers, and which other statuses it may answer.

The OpenAPI document describes exactly these. A test fails for a route of the application that is not here."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from serialize.manifest import Manifest
from service.errors import reason_phrase
from service.prediction.filter import DEFAULT_LAST
from service.prediction.moment import MOMENT
from service.prediction.observation import canonical
from service.prediction.true_label import LabelParser
from service.web.example_answers import JOB, REASON, RETRAINING, SEED_ROWS, example_answers
from service.web.query import LIMIT, MOST_KEY, MOST_LAST, MOST_LIMIT, WINDOWS
from service.web.schemas.forms import ID_TEXT, NO_NUL, TEXT, VERSION, Schema, Schemas, integer, reference
from service.web.schemas.of_model import label

# The server answers these to any request, most of them before it knows the route.
_ANY = (400, 405, 414, 417, 431, 500, 501)
_BODY = (400, 408, 413, 415, 422)
_SELECTION = ("model_version", "since", "until")
_LOG_FILTERS = ("limit", "after", "observation_id", "labelled", *_SELECTION, "predicted_class")


def operations(
    manifest: Manifest, version: str, example: Mapping[str, Any], example_id: str, *, needs_key: bool
) -> Schema:
    """Every operation under its method and path. `version` is the model's; `example` is an observation that the model
    can score, `example_id` its id; `needs_key` says whether clients need a key."""
    task, true = manifest.task, LabelParser(manifest.task).name
    truth = {true: 1.5 if task.kind == "regression" else label(task)["enum"][0]}
    answers = example_answers(manifest, version, example, example_id, truth[true])
    parameters = _parameters(manifest, version, example_id)
    links = {
        "update": _link("update", {"id": "$response.body#/observation_id", **truth}),
        "updateFirst": _link("update", {"id": "$response.body#/0/observation_id", **truth}),
        "replay": _link("predict", "$request.body"),
    }
    keys: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
    everyone = partial(_operation, [{}], (), {}, answers)
    client = partial(_operation, keys if needs_key else [{}, *keys], (401,), parameters, answers)
    admin = partial(_operation, keys, (401, 403), parameters, answers)
    return {
        "get /": everyone("index", "The service, its model, and where to go next.", "Index", ()),
        "post /predict": client(
            "predict",
            "Score and store one observation or an array of them. A known id is answered from its stored row.",
            "PredictedOnes",
            (409, 503),
            body=_body("Predictions", _one_and_many(example_id, {"observation": example})),
            headers=("Idempotent-Replayed",),
            links=links,
        ),
        "post /update": client(
            "update",
            f"Record the {true.replace('_', ' ')} of one prediction or of an array of them. A later label replaces it.",
            "UpdatedOnes",
            (404, 503),
            body=_body("TrueLabels", _one_and_many(example_id, truth)),
        ),
        "get /model": client("model", "The served model.", "Model", ()),
        "get /performance": client(
            "performance",
            "How well predictions match the true labels.",
            "Performance",
            (404, 503),
            query=(*_SELECTION, "window", "compare", "by"),
        ),
        "get /drift": client(
            "drift",
            "Observations and predictions compared with the training.",
            "Drift",
            (404, 503),
            query=(*_SELECTION, "last", "reference"),
        ),
        "get /models": client(
            "models",
            "The champion, the models of the registry and the promotions, the newest first.",
            "Models",
            (409, 503),
            query=("listed",),
        ),
        "get /models/{version}": client(
            "registeredModel",
            "A model of the registry, with the facts of its manifest.",
            "RegisteredModel",
            (404, 409, 503),
            query=("version",),
        ),
        "get /metrics": client(
            "metrics", "Metrics in the text format of Prometheus.", "MetricsText", media="text/plain"
        ),
        "get /predictions": admin(
            "predictions",
            "Predictions, newest first: one page, or all of them as application/x-ndjson.",
            "LoggedPage",
            query=_LOG_FILTERS,
            headers=("Link",),
            line="Logged",
        ),
        "delete /predictions": admin(
            "erase",
            "Erase one prediction and its labels; its id is free then.",
            "Erased",
            (404, 503),
            query=("erased",),
        ),
        "get /livez": everyone("livez", "Whether the process is up.", "Up", ()),
        "get /readyz": everyone("readyz", "Whether the model is verified and the database writable.", "Ready"),
        "get /healthz": everyone("healthz", "The same as /readyz.", "Ready"),
        "post /admin/reset": admin(
            "reset",
            "Export the log, then empty it; the body repeats the name of the database.",
            "Emptied",
            body=_body("Emptying", {"database": {"database": "example.db"}}),
        ),
        "post /admin/seed": admin(
            "seed",
            "Fill the log from a built-in data set that fits the model, under the ids demo-0, demo-1, ...",
            "Seeded",
            (409, 503),
            body=_body("Seeding", {"rows": {"rows": SEED_ROWS}}, required=False),
            headers=("Idempotent-Replayed",),
        ),
        "post /admin/models/{version}/promote": admin(
            "promote",
            "Prove a model in a process of its own, which takes seconds, and make it the champion.",
            "Promoted",
            (404, 409, 503),
            query=("version",),
            body=_body("Promoting", {"reason": {"reason": REASON, "force": False}}, required=False),
        ),
        "post /admin/models/rollback": admin(
            "rollback",
            "Make the model before the champion the champion again. Each time goes back one further.",
            "Promoted",
            (409, 503),
            body=_body("RollingBack", {"reason": {"reason": REASON}}, required=False),
        ),
        "post /admin/retrain": admin(
            "retrain",
            "Queue a job for `python -m service worker` that trains the model again with the labelled rows of the log.",
            "Job",
            (409, 503),
            body=_body("Retraining", {"retraining": RETRAINING}, required=False),
            status=202,
            headers=("Location",),
        ),
        "get /admin/jobs": admin("jobs", "The newest jobs, and when a worker was seen.", "Jobs", query=("jobs",)),
        "get /admin/jobs/{job}": admin(
            "job", "A job: how far it is, and its result.", "Job", (404, 503), query=("job",)
        ),
        "delete /admin/jobs/{job}": admin(
            "cancel", "Cancel a job that is queued or running.", "Job", (404, 409, 503), query=("job",)
        ),
        "get /openapi.json": everyone("openapi", "This document.", "OpenAPI", ()),
    }


def response_name(status: int) -> str:
    """The name of the response component of a status: `NotFound`."""
    return "".join(word.capitalize() for word in reason_phrase(status).replace("-", " ").split())


def parameter(place: str, name: str, description: str, schema: Schema, example: Any) -> Schema:
    """A parameter that a request may have."""
    return {"name": name, "in": place, "description": description, "schema": schema, "example": example}


def values(examples: Mapping[str, Any]) -> Schema:
    """Examples by name as the document has them."""
    return {name: {"value": value} for name, value in examples.items()}


def _operation(
    security: Sequence[Mapping[str, Sequence[str]]],
    key_refusals: Sequence[int],
    known: Schemas,
    answers: Mapping[str, Mapping[str, Any]],
    name: str,
    summary: str,
    answer: str,
    refusals: Sequence[int] = (503,),
    *,
    query: Sequence[str] = (),
    media: str = "application/json",
    line: str | None = None,
    headers: Sequence[str] = (),
    body: Schema | None = None,
    links: Schema | None = None,
    status: int = 200,
) -> Schema:
    """An operation. `answer` names the schema of its success, which has this status, `line` that of a line if the
    client asks for a stream. `query` names the parameters, of which one may be a part of the path."""
    parameters = [known[one] for one in query if one in known]
    has_query = any(one["in"] == "query" for one in parameters)
    statuses = sorted({*_ANY, *key_refusals, *refusals, *(_BODY if body else ()), *((422,) if has_query else ())})
    content = {media: _content(answer, answers[name])}
    if line:
        content["application/x-ndjson"] = _content(line, answers["line"])
    success = {
        "description": summary,
        "content": content,
        "headers": {one: reference(one, "headers") for one in ("X-Request-ID", "X-Model-Version", *headers)},
        **({"links": links} if links else {}),
    }
    failures = {str(code): reference(response_name(code), "responses") for code in statuses}
    common = [reference(one, "parameters") for one in ("RequestId", "TraceParent")]
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [*common, *parameters],
        **({"requestBody": body} if body else {}),
        "responses": {str(status): success, **failures},
        "security": security,
    }


def _body(name: str, examples: Mapping[str, Any], *, required: bool = True) -> Schema:
    return {"required": required, "content": {"application/json": _content(name, examples)}}


def _content(name: str, examples: Mapping[str, Any]) -> Schema:
    return {"schema": reference(name), "examples": values(examples)}


def _one_and_many(example_id: str, members: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "one": {"id": example_id, **members},
        "many": [{"id": f"{example_id}-{i}", **members} for i in (1, 2)],
    }


def _link(operation_id: str, body: Any) -> Schema:
    return {"operationId": operation_id, "requestBody": body}


def _parameters(manifest: Manifest, version: str, example_id: str) -> dict[str, Schema]:
    """The parameters by name."""
    moment = {**TEXT, "pattern": MOMENT}
    columns = list(manifest.signature.names)
    described: dict[str, tuple[str, Schema, Any]] = {
        "model_version": (
            "Only predictions of this model version.",
            {**TEXT, "minLength": 1, "pattern": NO_NUL},
            version,
        ),
        "since": ("Only predictions from this time on (ISO 8601; UTC without a zone).", moment, "2026-01-01"),
        "until": ("Only predictions before this time.", moment, "2026-01-31T12:00:00Z"),
        "window": ("A series by day (UTC) or by week from Monday.", {"enum": list(WINDOWS)}, WINDOWS[-1]),
        "by": ("The metrics for each value of a column.", {"enum": columns}, columns[0]),
        "compare": (
            "Two model versions to compare on the labelled rows that both answered.",
            {**TEXT, "pattern": r"^[^,\u0000]+,[^,\u0000]+$"},
            f"{version},{version}",
        ),
        "last": (
            f"Only this many of the latest rows; by default {DEFAULT_LAST} if no time is given.",
            integer(1, MOST_LAST),
            DEFAULT_LAST,
        ),
        "reference": (
            "Compare with the training of this model version of the registry; by default, with that of the model.",
            {**TEXT, "minLength": 1, "pattern": NO_NUL},
            version,
        ),
        "limit": (
            f"The most rows of a page, {LIMIT} by default. A stream has no limit.",
            integer(1, MOST_LIMIT),
            LIMIT,
        ),
        "after": ("Only rows that are older than the row with this key.", reference("RowKey"), 1000),
        "observation_id": (
            'Only the row of this id: 0 is an integer, "0" a string; other text needs no quotes.',
            ID_TEXT,
            example_id,
        ),
        "labelled": ("Only rows with a true label, or only those without.", {"enum": ["true", "false"]}, "true"),
    }
    if manifest.task.kind != "regression":  # a class is sent as JSON, a string also without its quotes
        forms = label(manifest.task)["enum"]
        texts = list(dict.fromkeys([*map(canonical, forms), *(form for form in forms if isinstance(form, str))]))
        described["predicted_class"] = (
            "Only predictions of this class; text needs no quotes.",
            {"enum": texts},
            texts[0],
        )
    parameters = {name: parameter("query", name, *one) for name, one in described.items()}
    listed = f"The most models, and the most promotions, {LIMIT} by default."
    path = parameter("path", "version", "The version of a model.", VERSION, version)
    job = parameter("path", "job", "The id of a job.", integer(1, MOST_KEY), JOB)
    return {
        **parameters,
        "listed": {**parameters["limit"], "description": listed},
        "erased": {**parameters["observation_id"], "required": True},
        "version": {**path, "required": True},
        "jobs": {**parameters["limit"], "description": f"The most jobs, {LIMIT} by default."},
        "job": {**job, "required": True},
    }
