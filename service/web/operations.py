"""The routes of the API, one entry each: what a request brings, what a 200 answers, what else may be answered.

The document of the API is made from these; a route of the application that has no entry fails a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from serialize.task import Task
from service.web.log_schemas import erasing_parameters, log_parameters
from service.web.schemas import label
from service.web.score_schemas import drift_parameters, performance_parameters

Key = Literal["api", "admin"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `answer` and `body` are names of schemas, `refusals` the statuses that it may answer
    beside those that any request may get, `may_be_empty` whether the body may be left out, `examples` bodies that are
    answered 200, `key` the kind of key that it takes, `parameters` those of the query with their meanings and schemas,
    `headers` those that a 200 may have beside those of every answer, `next` what can be posted to other operations by
    their ids, as the literals and runtime expressions of an OpenAPI link, `line` the schema of a line where the answer
    may be asked for as a stream, `required` the parameters that must be given, `media` the type of its 200."""

    method: Literal["get", "post", "put", "delete"]
    path: str
    id: str
    summary: str
    answer: str
    refusals: tuple[int, ...] = ()
    body: str | None = None
    may_be_empty: bool = False
    examples: Mapping[str, Any] = field(default_factory=dict)
    key: Key | None = None
    parameters: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    next: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    media: str = "application/json"
    line: str | None = None
    required: tuple[str, ...] = ()


_BODY = (400, 408, 413, 415, 422)


def operations(
    task: Task, example: Mapping[str, Any], example_id: str, columns: Sequence[str]
) -> tuple[Operation, ...]:
    """Every operation, for a model of this task; `example` is an observation of these columns that is answered,
    `example_id` the id under which it is asked for."""
    true = "true_value" if task.kind == "regression" else "true_class"
    truth = 1.5 if task.kind == "regression" else label(task)["enum"][0]
    return (
        Operation(
            "post",
            "/predict",
            "predict",
            "Score and store one observation or an array of them; a known id is answered from its row.",
            answer="PredictedOnes",
            refusals=(*_BODY, 409, 503),
            body="Predictions",
            examples={
                "one": {"id": example_id, "observation": example},
                "many": [{"id": f"{example_id}-{i}", "observation": example} for i in (1, 2)],
            },
            key="api",
            headers=("Idempotent-Replayed",),
            next={
                "update": ("update", {"id": "$response.body#/observation_id", true: truth}),
                "updateFirst": ("update", {"id": "$response.body#/0/observation_id", true: truth}),
                "replay": ("predict", "$request.body"),
            },
        ),
        Operation(
            "post",
            "/update",
            "update",
            f"Record the {true.replace('_', ' ')} of one prediction or of an array of them; a correction wins.",
            answer="UpdatedOnes",
            refusals=(*_BODY, 404, 503),
            body="TrueLabels",
            examples={
                "one": {"id": example_id, true: truth},
                "many": [{"id": f"{example_id}-{i}", true: truth} for i in (1, 2)],
            },
            key="api",
        ),
        Operation("get", "/model", "model", "What is served.", answer="Model", key="api"),
        Operation(
            "get",
            "/performance",
            "performance",
            "How good the predictions were, by the true labels that came back.",
            answer="Performance",
            refusals=(422, 503),
            key="api",
            parameters=performance_parameters(columns),
        ),
        Operation(
            "get",
            "/drift",
            "drift",
            "Where observations and answers differ from those of the training.",
            answer="Drift",
            refusals=(422, 503),
            key="api",
            parameters=drift_parameters(),
        ),
        Operation(
            "get",
            "/metrics",
            "metrics",
            "What is measured of the service, in the text format of Prometheus.",
            answer="MetricsText",
            refusals=(503,),
            key="api",
            media="text/plain",
        ),
        Operation(
            "get",
            "/predictions",
            "predictions",
            "What was answered, newest first: a page of it or, as application/x-ndjson, all of it.",
            answer="LoggedPage",
            refusals=(422, 503),
            key="admin",
            parameters=log_parameters(task),
            headers=("Link",),
            line="Logged",
        ),
        Operation(
            "delete",
            "/predictions",
            "erase",
            "Erase one prediction and its labels; its id is free then.",
            answer="Erased",
            refusals=(404, 422, 503),
            key="admin",
            parameters=erasing_parameters(),
            required=("observation_id",),
        ),
        Operation("get", "/livez", "livez", "Whether the process is up.", answer="Up"),
        Operation(
            "get",
            "/readyz",
            "readyz",
            "Whether the model is verified and the database takes writes.",
            answer="Ready",
            refusals=(503,),
        ),
        Operation("get", "/healthz", "healthz", "The same as /readyz.", answer="Ready", refusals=(503,)),
        Operation(
            "post",
            "/admin/reset",
            "reset",
            "Export the log to a file, and then empty it; the body repeats the database's name.",
            answer="Emptied",
            refusals=(*_BODY, 503),
            body="Emptying",
            key="admin",
        ),
        Operation(
            "post",
            "/admin/seed",
            "seed",
            "Fill the log with rows of a built-in data set that fits the model, under the ids demo-0, demo-1, ...",
            answer="Seeded",
            refusals=(*_BODY, 409, 503),
            body="Seeding",
            may_be_empty=True,
            key="admin",
            headers=("Idempotent-Replayed",),
        ),
        Operation("get", "/openapi.json", "openapi", "This document.", answer="OpenAPI"),
    )
