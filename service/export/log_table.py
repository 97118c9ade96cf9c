"""The log as a table: a row a prediction, a column for each column of the observations and for each thing that the log
knows. What kind of values a column holds is learned from the log itself, which may hold the rows of several models."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from service.export.formats import Blocks, Columns, TableKind, TableRow
from service.prediction.filter import PredictionFilter
from service.storage.log_reader import LogReader
from service.storage.logged_row import NULL, LoggedRow

_ANSWERS = {
    "predicted_class": ("predicted_class", "proba", "true_class"),
    "predicted_value": ("predicted_value", "true_value"),
}
_FIRST = ("id", "observation_id")
_LAST = ("threshold", "model_version", "created_at", "labelled_at")
_OWN = frozenset(LoggedRow._fields)
_KINDS: Mapping[type, TableKind] = {bool: "boolean", int: "integer", float: "number", str: "text"}
_SINGLE = tuple(name for name in LoggedRow._fields if name not in ("observation", "probas"))
_GREATEST = 2**63 - 1


class LogTable:
    """Learns its columns from every row.

    A column of an observation keeps its name, but for one that is the log's own: `observation.id`. Probabilities of
    several classes are in `probas.<class>`. TableRow of several kinds in one column are JSON text: 0 and "0"."""

    def __init__(self) -> None:
        self._observed: dict[str, TableKind | None] = {}
        self._probas: dict[str, TableKind | None] = {}
        self._kinds: dict[str, TableKind | None] = dict.fromkeys(LoggedRow._fields)
        self._answers: set[str] = set()

    def learn(self, row: LoggedRow) -> None:
        """Makes room for a row."""
        self._answers.update(name for name in _ANSWERS if getattr(row, name) != NULL)
        for name in ("observation_id", "predicted_class", "true_class"):
            self._kinds[name] = _joined(self._kinds[name], _kind(json.loads(getattr(row, name))))
        _learn(self._observed, _observed(row))
        _learn(self._probas, _probas(row))

    @property
    def columns(self) -> Columns:
        """The kind of each column by name, in order; None where there is no value."""
        answers = [name for found, names in _ANSWERS.items() if found in self._answers for name in names]
        labels = _joined(self._kinds["predicted_class"], self._kinds["true_class"])
        kinds = {**self._kinds, **_FIXED, "predicted_class": labels, "true_class": labels}
        return {
            **{name: kinds[name] for name in _FIRST},
            **self._observed,
            **{name: kinds[name] for name in answers},
            **self._probas,
            **{name: kinds[name] for name in _LAST},
        }


_FIXED: Mapping[str, TableKind] = {
    "id": "integer",
    **dict.fromkeys(("proba", "predicted_value", "threshold", "true_value"), "number"),
    "model_version": "text",
    "created_at": "moment",
    "labelled_at": "moment",
}


def values_of(row: LoggedRow, columns: Columns) -> dict[str, Any]:
    """The values of a row by column, None for none; a moment as ISO 8601."""
    own = {name: json.loads(getattr(row, name)) for name in _SINGLE}
    found = {**own, **_observed(row), **_probas(row)}
    return {name: _as_kind(found.get(name), kind) for name, kind in columns.items()}


def _observed(row: LoggedRow) -> dict[str, Any]:
    observation = json.loads(row.observation)
    if not isinstance(observation, dict):
        return {"observation": observation}  # as the log of another service may have it
    return {f"observation.{name}" if _is_own(name) else name: value for name, value in observation.items()}


def _probas(row: LoggedRow) -> dict[str, float]:
    probas: dict[str, float] = {} if row.probas == NULL else json.loads(row.probas)
    return {f"probas.{label}": proba for label, proba in probas.items()}


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith(("observation.", "probas."))


def _learn(kinds: dict[str, TableKind | None], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kinds[name] = _joined(kinds.get(name), _kind(value))


def _kind(value: Any) -> TableKind | None:
    if value is None:
        return None
    if isinstance(value, int) and not -_GREATEST - 1 <= value <= _GREATEST:
        return "json"
    return _KINDS.get(type(value), "json")


def _joined(one: TableKind | None, other: TableKind | None) -> TableKind | None:
    """The kind that holds the values of both."""
    if one is None or other is None or one == other:
        return one or other
    return "number" if {one, other} == {"integer", "number"} else "json"


def _as_kind(value: Any, kind: TableKind | None) -> Any:
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    if kind == "text" and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()  # no file holds half of a surrogate pair
    return float(value) if kind == "number" else value


def export_table(
    reader: LogReader,
    wanted: PredictionFilter,
    write: Callable[[Columns, Blocks], None],
    advance: Callable[[float], object],
) -> int:
    """Hands what is wanted and was committed by now to `write`, oldest first, and gives the number of rows. `advance`
    is told the share of the work that is done."""
    at = reader.snapshot()
    table, rows = LogTable(), 0
    # A label that comes between the two readings must not bring a row that was not met before.
    for block in reader.blocks(replace(wanted, labelled=None), at=at):
        for row in block.rows:
            table.learn(row)
        advance((block.end or at.last_id) / at.last_id / 2 if at.last_id else 0.5)
    columns = table.columns

    def blocks() -> Iterator[list[TableRow]]:
        nonlocal rows
        for block in reader.blocks(wanted, at=at):
            yield [values_of(row, columns) for row in block.rows]
            rows += len(block.rows)
            advance(0.5 + (block.end or at.last_id) / at.last_id / 2 if at.last_id else 1)

    write(columns, blocks())
    return rows
