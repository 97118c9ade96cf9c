"""The routes of the API: what each takes, what its 200 answers, and which other statuses it may answer.

The OpenAPI document describes exactly these. A test fails for a route of the application that is not here."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from serialize.manifest import Manifest
from service.filter import DEFAULT_LAST
from service.log_query import LIMIT, MOST_LIMIT
from service.moment import MOMENT
from service.observation import canonical
from service.query import MOST_LAST, WINDOWS
from service.schemas import ID_TEXT, NO_NUL, TEXT, Schema, integer, label, label_name, reference

# The server answers these to any request, most of them before it knows the route.
_ANY = (400, 405, 414, 417, 431, 500, 501)
_BODY = (400, 408, 413, 415, 422)
_REPLAYED = ("Idempotent-Replayed",)


# The ways to send a key ({} is none), and the statuses of a request without a valid one.
_Access = tuple[list[dict[str, list[str]]], tuple[int, ...]]


def operations(manifest: Manifest, example: Mapping[str, Any], example_id: str, *, needs_key: bool) -> Schema:
    """Every operation under its method and path. `example` is an observation that the model can score, `example_id` its
    id; `needs_key` says whether clients need a key."""
    keys: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
    everyone: _Access = ([{}], ())
    client: _Access = (keys if needs_key else [{}, *keys], (401,))
    admin: _Access = (keys, (401, 403))
    task, true = manifest.task, label_name(manifest.task)
    truth = {true: 1.5 if task.kind == "regression" else label(task)["enum"][0]}
    links = {
        "update": _link("update", {"id": "$response.body#/observation_id", **truth}),
        "updateFirst": _link("update", {"id": "$response.body#/0/observation_id", **truth}),
        "replay": _link("predict", "$request.body"),
    }
    known = _parameters(manifest)
    selection = [known[name] for name in ("model_version", "since", "until")]
    log = [known[name] for name in ("limit", "after", "observation_id", "labelled", "predicted_class") if name in known]
    return {
        "post /predict": _operation(
            "predict",
            "Score and store one observation or an array of them. A known id is answered from its stored row.",
            "PredictedOnes",
            client,
            (409, 503),
            body=_body("Predictions", examples=_examples(example_id, {"observation": example})),
            headers=_REPLAYED,
            links=links,
        ),
        "post /update": _operation(
            "update",
            f"Record the {true.replace('_', ' ')} of one prediction or of an array of them. A later one replaces it.",
            "UpdatedOnes",
            client,
            (404, 503),
            body=_body("TrueLabels", examples=_examples(example_id, truth)),
        ),
        "get /model": _operation("model", "The served model.", "Model", client, ()),
        "get /performance": _operation(
            "performance",
            "Metrics of the predictions by the true labels.",
            "Performance",
            client,
            query=[*selection, known["window"], known["by"]],
        ),
        "get /drift": _operation(
            "drift",
            "Observations and predictions compared with the training.",
            "Drift",
            client,
            query=[*selection, known["last"]],
        ),
        "get /metrics": _operation("metrics", "Metrics for Prometheus.", "MetricsText", client, media="text/plain"),
        "get /predictions": _operation(
            "predictions",
            "Predictions, newest first: one page, or all of them as application/x-ndjson.",
            "LoggedPage",
            admin,
            query=[*log, *selection],
            headers=("Link",),
            line="Logged",
        ),
        "delete /predictions": _operation(
            "erase",
            "Erase one prediction and its labels. Its id can be used again.",
            "Erased",
            admin,
            (404, 503),
            query=[{**known["observation_id"], "required": True}],
        ),
        "get /livez": _operation("livez", "Whether the process is up.", "Up", everyone, ()),
        "get /readyz": _operation("readyz", "Whether the model and the database are ready.", "Ready", everyone),
        "get /healthz": _operation("healthz", "The same as /readyz.", "Ready", everyone),
        "post /admin/reset": _operation(
            "reset", "Export the log to a file and then empty it.", "Emptied", admin, body=_body("Emptying")
        ),
        "post /admin/seed": _operation(
            "seed",
            "Fill the log from a built-in data set that fits the model, under the ids demo-0, demo-1, ...",
            "Seeded",
            admin,
            (409, 503),
            body=_body("Seeding", required=False),
            headers=_REPLAYED,
        ),
        "get /openapi.json": _operation("openapi", "This document.", "OpenAPI", everyone, ()),
    }


def references(kind: str, names: Iterable[str]) -> Schema:
    """References to components of a kind, by name."""
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def response_name(status: int) -> str:
    """The name of the response component of a status: `NotFound`."""
    return "".join(word.capitalize() for word in HTTPStatus(status).phrase.replace("-", " ").split())


def parameter(place: str, name: str, description: str, schema: Schema = TEXT) -> Schema:
    """A parameter that a request may have."""
    return {"name": name, "in": place, "description": description, "schema": schema}


def _operation(
    id_: str,
    summary: str,
    answer: str,
    access: _Access,
    refusals: Sequence[int] = (503,),
    *,
    query: Sequence[Schema] = (),
    body: Schema | None = None,
    media: str = "application/json",
    line: str | None = None,
    headers: Sequence[str] = (),
    links: Schema | None = None,
) -> Schema:
    """An operation. `answer` names the schema of the 200, `line` that of a line if the client asks for a stream."""
    statuses = sorted({*_ANY, *access[1], *refusals, *(_BODY if body else ()), *((422,) if query else ())})
    schemas = {media: answer, **({"application/x-ndjson": line} if line else {})}
    success = {
        "description": summary,
        "content": {media: {"schema": reference(name)} for media, name in schemas.items()},
        "headers": references("headers", ("X-Request-ID", "X-Model-Version", *headers)),
        **({"links": links} if links else {}),
    }
    failures = references("responses", map(response_name, statuses)).values()
    return {
        "operationId": id_,
        "summary": summary,
        "parameters": [*references("parameters", ("RequestId", "TraceParent")).values(), *query],
        **({"requestBody": body} if body else {}),
        "responses": {"200": success, **dict(zip(map(str, statuses), failures, strict=True))},
        "security": access[0],
    }


def _body(name: str, *, required: bool = True, **more: Any) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": reference(name), **more}}}


def _examples(example_id: str, members: Mapping[str, Any]) -> Schema:
    many = [{"id": f"{example_id}-{i}", **members} for i in (1, 2)]
    return {"one": {"value": {"id": example_id, **members}}, "many": {"value": many}}


def _link(operation_id: str, body: Any) -> Schema:
    return {"operationId": operation_id, "requestBody": body}


def _parameters(manifest: Manifest) -> dict[str, Schema]:
    """The query parameters by name."""
    moment = {**TEXT, "pattern": MOMENT}
    described: dict[str, tuple[str, Schema]] = {
        "model_version": ("Only predictions of this model version.", {**TEXT, "minLength": 1, "pattern": NO_NUL}),
        "since": ("Only predictions from this time on (ISO 8601; UTC without a zone).", moment),
        "until": ("Only predictions before this time.", moment),
        "window": ("A series by day (UTC) or by week from Monday.", {"enum": list(WINDOWS)}),
        "by": ("The metrics for each value of a column.", {"enum": list(manifest.signature.names)}),
        "last": (f"Only this many of the latest rows; {DEFAULT_LAST} without a time.", integer(1, MOST_LAST)),
        "limit": (f"The most rows of a page, {LIMIT} by default. A stream has no limit.", integer(1, MOST_LIMIT)),
        "after": ("Only rows that are older than the row with this key.", reference("RowKey")),
        "observation_id": ('Only the row of this id: 0 is an integer, "0" and other text are strings.', ID_TEXT),
        "labelled": ("Only rows with a true label, or only those without.", {"enum": ["true", "false"]}),
    }
    if manifest.task.kind != "regression":  # a class is sent as JSON, a string also without its quotes
        forms = label(manifest.task)["enum"]
        texts = dict.fromkeys([*map(canonical, forms), *(form for form in forms if isinstance(form, str))])
        described["predicted_class"] = (
            "Only predictions of this class; a string needs no quotes.",
            {"enum": list(texts)},
        )
    return {name: parameter("query", name, *one) for name, one in described.items()}
