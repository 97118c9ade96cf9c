"""The routes of the API: what each takes, what its 200 answers, and which other statuses it may answer.

The OpenAPI document is made from this table. A test fails for a route of the application that is not in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from serialize.manifest import Manifest
from serialize.task import Task
from service.filter import DEFAULT_LAST
from service.log_query import LIMIT, MOST_LIMIT
from service.moment import MOMENT
from service.observation import canonical
from service.query import MOST_LAST, WINDOWS
from service.schemas import ID_TEXT, NO_NUL, Schema, label, reference

Key = Literal["api", "admin"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `answer`, `body` and `line` name schemas: of the 200, of the request, and of a line where
    the client may ask for a stream of them. `refusals` are the statuses that only some operations answer; those of a
    body, a query and a key follow from the other fields. `examples` are bodies that are answered 200, `headers` those
    that only this 200 may have, and `links` name the operation to call next and its body, in the runtime expressions
    of an OpenAPI link."""

    method: Literal["get", "post", "delete"]
    path: str
    id: str
    summary: str
    answer: str
    key: Key | None = "api"
    refusals: tuple[int, ...] = (503,)
    body: str | None = None
    body_required: bool = True
    examples: Mapping[str, Any] = field(default_factory=dict)
    parameters: Sequence[Schema] = ()
    headers: tuple[str, ...] = ()
    links: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    media: str = "application/json"
    line: str | None = None


def operations(manifest: Manifest, example: Mapping[str, Any], example_id: str) -> tuple[Operation, ...]:
    """Every operation. `example` is an observation that the model can score, `example_id` its id."""
    task = manifest.task
    true = {"true_value": 1.5} if task.kind == "regression" else {"true_class": label(task)["enum"][0]}
    wanted = "true value" if task.kind == "regression" else "true class"

    def examples(members: Mapping[str, Any]) -> dict[str, Any]:
        many = [{"id": f"{example_id}-{i}", **members} for i in (1, 2)]
        return {"one": {"id": example_id, **members}, "many": many}

    return (
        Operation(
            *("post", "/predict", "predict"),
            "Score and store one observation or an array of them. A known id is answered from its stored row.",
            "PredictedOnes",
            refusals=(409, 503),
            body="Predictions",
            examples=examples({"observation": example}),
            headers=("Idempotent-Replayed",),
            links={
                "update": ("update", {"id": "$response.body#/observation_id", **true}),
                "updateFirst": ("update", {"id": "$response.body#/0/observation_id", **true}),
                "replay": ("predict", "$request.body"),
            },
        ),
        Operation(
            *("post", "/update", "update"),
            f"Record the {wanted} of one prediction or of an array of them. A later one replaces it.",
            "UpdatedOnes",
            refusals=(404, 503),
            body="TrueLabels",
            examples=examples(true),
        ),
        Operation("get", "/model", "model", "Describe the served model.", "Model", refusals=()),
        Operation(
            *("get", "/performance", "performance"),
            "Measure the predictions against the true labels that clients sent.",
            "Performance",
            parameters=(
                *_selection(),
                _query("window", "A series by day (UTC) or by week from Monday.", {"enum": list(WINDOWS)}),
                _query("by", "The metrics for each value of a column.", {"enum": list(manifest.signature.names)}),
            ),
        ),
        Operation(
            *("get", "/drift", "drift"),
            "Compare observations and predictions with those of the training.",
            "Drift",
            parameters=(*_selection(), _last()),
        ),
        Operation("get", "/metrics", "metrics", "Metrics for Prometheus, as text.", "MetricsText", media="text/plain"),
        Operation(
            *("get", "/predictions", "predictions"),
            "List predictions, newest first: one page, or all of them as application/x-ndjson.",
            "LoggedPage",
            "admin",
            parameters=_log_parameters(task),
            headers=("Link",),
            line="Logged",
        ),
        Operation(
            *("delete", "/predictions", "erase"),
            "Erase one prediction and its labels. Its id can be used again.",
            "Erased",
            "admin",
            refusals=(404, 503),
            parameters=({**_id(), "required": True},),
        ),
        Operation("get", "/livez", "livez", "Whether the process is up.", "Up", None, ()),
        Operation(
            "get", "/readyz", "readyz", "Whether the model is verified and the database writable.", "Ready", None
        ),
        Operation("get", "/healthz", "healthz", "The same as /readyz.", "Ready", None),
        Operation(
            *("post", "/admin/reset", "reset"),
            "Export the log to a file and then empty it. The body repeats the name of the database.",
            "Emptied",
            "admin",
            body="Emptying",
        ),
        Operation(
            *("post", "/admin/seed", "seed"),
            "Fill the log from a built-in data set that fits the model, under the ids demo-0, demo-1, ...",
            "Seeded",
            "admin",
            refusals=(409, 503),
            body="Seeding",
            body_required=False,
            headers=("Idempotent-Replayed",),
        ),
        Operation("get", "/openapi.json", "openapi", "This document.", "OpenAPI", None, ()),
    )


def _query(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _selection() -> tuple[Schema, ...]:
    moment = {"type": "string", "pattern": MOMENT}
    version = {"type": "string", "minLength": 1, "pattern": NO_NUL}
    return (
        _query("model_version", "Only predictions of this version of a model.", version),
        _query("since", "Only predictions from this time on (ISO 8601; UTC without a zone).", moment),
        _query("until", "Only predictions before this time.", moment),
    )


def _last() -> Schema:
    description = f"Only this many of the latest rows; {DEFAULT_LAST} without a time."
    return _query("last", description, {"type": "integer", "minimum": 1, "maximum": MOST_LAST})


def _id() -> Schema:
    description = 'Only the row with this id. 0 is the integer, "0" the string; other strings need no quotes.'
    return _query("observation_id", description, ID_TEXT)


def _log_parameters(task: Task) -> tuple[Schema, ...]:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT}
    return (
        _query("limit", f"The most rows of a page, {LIMIT} by default. A stream has no limit.", limit),
        _query("after", "Only rows that are older than the row with this key.", reference("RowKey")),
        _id(),
        _query("labelled", "Only rows with a true label, or only those without.", {"enum": ["true", "false"]}),
        *_selection(),
        *(() if task.kind == "regression" else (_class(task),)),
    )


def _class(task: Task) -> Schema:
    """A class in a URL: as JSON, and a string also without its quotes."""
    forms = label(task)["enum"]
    texts = [*map(canonical, forms), *(form for form in forms if isinstance(form, str))]
    description = "Only predictions of this class; a string needs no quotes."
    return _query("predicted_class", description, {"enum": list(dict.fromkeys(texts))})
