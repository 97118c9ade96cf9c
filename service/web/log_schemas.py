"""The JSON Schemas of what /predictions answers, and the parameters that it takes. The log may hold what other models
have answered, so that a row is described more widely than what the served one answers."""

from collections.abc import Sequence

from serialize.task import Task
from service.prediction.observation import canonical
from service.web.query import LIMIT, MOST_KEY, MOST_LIMIT
from service.web.schemas import Schema, closed, id_as_text, label, reference
from service.web.score_schemas import SELECTION, Parameters

_LABEL: Schema = {"type": ["boolean", "number", "string", "null"]}
_NUMBER: Schema = {"type": ["number", "null"]}
_SHARE: Schema = {**_NUMBER, "minimum": 0, "maximum": 1}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_ROW: dict[str, Schema] = {
    "id": reference("RowKey"),
    "observation_id": reference("ObservationId"),
    "predicted_class": _LABEL,
    "proba": _SHARE,
    "true_class": _LABEL,
    "probas": {"type": "object", "additionalProperties": _SHARE},
    "predicted_value": _NUMBER,
    "true_value": _NUMBER,
    "observation": {"description": "As it was stored."},
    "model_version": {"type": ["string", "null"]},
    "threshold": _SHARE,
    "created_at": _MOMENT,
    "labelled_at": {**_MOMENT, "type": ["string", "null"]},
}
_REQUIRED = ("id", "observation_id", "observation", "model_version", "threshold", "created_at", "labelled_at")
_CORRECTION = closed(
    {"replaced_class": _LABEL, "replaced_value": _NUMBER, "labelled_at": _MOMENT, "replaced_at": _MOMENT}
)


def log_parameters(task: Task) -> Parameters:
    """The query parameters of GET /predictions."""
    return {
        "limit": (
            f"The most rows of a page, {LIMIT} unless it is given; a stream has none.",
            {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT},
        ),
        "after": (
            "Only rows after (older than) the one with this key.",
            reference("RowKey"),
        ),
        **_ID,
        "labelled": ("Only rows with a true label, or only those without.", {"enum": ["true", "false"]}),
        **SELECTION,
        **_class(task),
    }


def erasing_parameters() -> Parameters:
    """The query parameters of DELETE /predictions."""
    return _ID


def log_schemas() -> dict[str, Schema]:
    """The schemas by name."""
    rows = {"type": "array", "items": reference("Logged"), "maxItems": MOST_LIMIT}
    following = {"type": ["string", "null"], "description": "The relative URL of the next page; null on the last."}
    return {
        "RowKey": {"type": "integer", "minimum": 1, "maximum": MOST_KEY, "description": "The row's own key."},
        "Logged": _row(()),
        "LoggedPage": closed({"predictions": rows, "next": following}),
        "Erased": _row(("corrections",)),
    }


_ID: Parameters = {
    "observation_id": (
        'Only the row of this id: 0 is the integer, "0" in quotes the string; other text needs none.',
        id_as_text(),
    )
}


def _class(task: Task) -> Parameters:
    """A class as it stands in a URL: as JSON, and a text also without its quotes."""
    if task.kind == "regression":
        return {}
    forms = label(task)["enum"]
    texts = [*map(canonical, forms), *(form for form in forms if isinstance(form, str))]
    said = "Only what was answered this class; a text needs no quotes."
    return {"predicted_class": (said, {"enum": list(dict.fromkeys(texts))})}


def _row(more: Sequence[str]) -> Schema:
    members = {**_ROW, "corrections": {"type": "array", "items": _CORRECTION}}
    return closed({name: members[name] for name in (*_ROW, *more)}, [*_REQUIRED, *more])
