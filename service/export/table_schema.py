"""The columns of the exported table and their kinds. They come from the rows, because a log may hold predictions of
several models."""

import json
from collections.abc import Mapping
from typing import Any

from service.export.formats import Columns, TableKind
from service.storage.reading.logged_row import NULL, LoggedRow

Kinds = Mapping[str, TableKind | None]

_ANSWERS = {
    "predicted_class": ("predicted_class", "proba", "true_class"),
    "predicted_value": ("predicted_value", "true_value"),
}
_FIRST = ("id", "observation_id")
_LAST = ("threshold", "model_version", "created_at", "labelled_at")
_KINDS: Mapping[type, TableKind] = {bool: "boolean", int: "integer", float: "number", str: "text"}
_FIXED: Mapping[str, TableKind] = {
    "id": "integer",
    **dict.fromkeys(("proba", "predicted_value", "threshold", "true_value"), "number"),
    "model_version": "text",
    "created_at": "moment",
    "labelled_at": "moment",
}
_LEARNED = ("observation_id", "predicted_class", "predicted_value", "true_class")
_INT64 = range(-(2**63), 2**63)


class TableSchema:
    """The columns of the table, learned from its rows.

    A column of an observation keeps its name, but gets the prefix `observation.` if the log has a column of that name.
    The probabilities of several classes are in `probas.<class>`. A column with values of several kinds holds JSON text,
    so that 0 and "0" differ."""

    def __init__(self) -> None:
        self._own: dict[str, TableKind | None] = dict.fromkeys(LoggedRow._fields)
        self._observed: dict[str, TableKind | None] = {}
        self._probas: dict[str, TableKind | None] = {}

    def learn(self, row: LoggedRow) -> None:
        """Adds the columns of a row."""
        own = {name: json.loads(getattr(row, name)) for name in _LEARNED}
        self.join(_kinds(own), _kinds(observed(json.loads(row.observation))), _kinds(probas(row)))

    def join(self, own: Kinds, observed: Kinds, probas: Kinds) -> None:
        """Adds the kinds of the columns of several rows: those of the log, of the observations in the order in which
        they occur, and of the probabilities of several classes."""
        for known, found in ((self._own, own), (self._observed, observed), (self._probas, probas)):
            for name, kind in found.items():
                known[name] = joined(known.get(name), kind)

    @property
    def columns(self) -> Columns:
        """The kind of each column by name, in order; None for a column without values."""
        answers = [name for found, names in _ANSWERS.items() if self._own[found] is not None for name in names]
        labels = joined(self._own["predicted_class"], self._own["true_class"])
        kinds = {**self._own, **_FIXED, "predicted_class": labels, "true_class": labels}
        return {
            **{name: kinds[name] for name in _FIRST},
            **self._observed,
            **{name: kinds[name] for name in answers},
            **self._probas,
            **{name: kinds[name] for name in _LAST},
        }


def _kinds(values: Mapping[str, Any]) -> Kinds:
    return {name: kind_of(value) for name, value in values.items()}


def observed(observation: Any) -> dict[str, Any]:
    """The values of a decoded observation by column."""
    if not isinstance(observation, dict):
        return {"observation": observation}  # possible in a log of the original app
    return {column_name(name): value for name, value in observation.items()}


def column_name(name: str) -> str:
    """The column for a member of an observation."""
    is_own = name in LoggedRow._fields or name.startswith(("observation.", "probas."))
    return f"observation.{name}" if is_own else name


def probas(row: LoggedRow) -> dict[str, float]:
    """The probabilities of several classes by column."""
    found: dict[str, float] = {} if row.probas == NULL else json.loads(row.probas)
    return {f"probas.{label}": proba for label, proba in found.items()}


def kind_of(value: Any) -> TableKind | None:
    """The kind of a JSON value; None for null."""
    if value is None:
        return None
    return "json" if isinstance(value, int) and value not in _INT64 else _KINDS.get(type(value), "json")


def joined(one: TableKind | None, other: TableKind | None) -> TableKind | None:
    """The kind for the values of both."""
    if one is None or other is None or one == other:
        return one or other
    return "number" if {one, other} == {"integer", "number"} else "json"


def as_kind(value: Any, kind: TableKind | None) -> Any:
    """A JSON value as a value of a column of this kind; a moment is ISO 8601 text."""
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    if kind == "text" and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()  # UTF-8 cannot encode half of a surrogate pair
    return float(value) if kind == "number" else value
