"""The log as a table with one row per prediction and one column per value. The columns and their kinds come from the
rows, because a log may hold predictions of several models."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from service.export.formats import Blocks, Columns, TableKind, TableRow
from service.prediction.filter import PredictionFilter
from service.storage.log_reader import Block, LogReader
from service.storage.logged_row import NULL, LoggedRow

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
_SINGLE = tuple(name for name in LoggedRow._fields if name not in ("observation", "probas"))
_INT64 = range(-(2**63), 2**63)


def export_table(
    reader: LogReader,
    wanted: PredictionFilter,
    write: Callable[[Columns, Blocks], None],
    advance: Callable[[float], object],
) -> int:
    """Passes the matching rows of the present log to `write`, oldest first, and returns their number. Calls `advance`
    with the completed share of the work."""
    at = reader.snapshot()
    schema, rows = TableSchema(), 0

    def share(block: Block) -> float:
        return (block.end or at.last_id) / at.last_id if at.last_id else 1.0

    # Both passes must see the columns of a row that is labelled between them, so the first one ignores labels.
    for block in reader.blocks(replace(wanted, labelled=None), at=at):
        for row in block.rows:
            schema.learn(row)
        advance(share(block) / 2)
    columns = schema.columns

    def blocks() -> Iterator[list[TableRow]]:
        nonlocal rows
        for block in reader.blocks(wanted, at=at):
            yield [_table_row(row, columns) for row in block.rows]
            rows += len(block.rows)
            advance(0.5 + share(block) / 2)

    write(columns, blocks())
    return rows


class TableSchema:
    """The columns of the table, learned from its rows.

    A column of an observation keeps its name, but gets the prefix `observation.` if the log has a column of that name.
    The probabilities of several classes are in `probas.<class>`. A column with values of several kinds holds JSON text,
    so that 0 and "0" differ."""

    def __init__(self) -> None:
        self._observed: dict[str, TableKind | None] = {}
        self._probas: dict[str, TableKind | None] = {}
        self._kinds: dict[str, TableKind | None] = dict.fromkeys(LoggedRow._fields)
        self._answers: set[str] = set()

    def learn(self, row: LoggedRow) -> None:
        """Adds the columns of a row."""
        self._answers.update(name for name in _ANSWERS if getattr(row, name) != NULL)
        names = ("observation_id", "predicted_class", "true_class")
        _learn(self._kinds, {name: json.loads(getattr(row, name)) for name in names})
        _learn(self._observed, _observed(row))
        _learn(self._probas, _probas(row))

    @property
    def columns(self) -> Columns:
        """The kind of each column by name, in order; None for a column without values."""
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


def _learn(kinds: dict[str, TableKind | None], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kinds[name] = _joined(kinds.get(name), _kind(value))


def _kind(value: Any) -> TableKind | None:
    if value is None:
        return None
    return "json" if isinstance(value, int) and value not in _INT64 else _KINDS.get(type(value), "json")


def _joined(one: TableKind | None, other: TableKind | None) -> TableKind | None:
    """The kind for the values of both."""
    if one is None or other is None or one == other:
        return one or other
    return "number" if {one, other} == {"integer", "number"} else "json"


def _table_row(row: LoggedRow, columns: Columns) -> TableRow:
    """The values of a row by column; a moment is ISO 8601 text."""
    own = {name: json.loads(getattr(row, name)) for name in _SINGLE}
    found = {**own, **_observed(row), **_probas(row)}
    return {name: _as_kind(found.get(name), kind) for name, kind in columns.items()}


def _observed(row: LoggedRow) -> dict[str, Any]:
    observation = json.loads(row.observation)
    if not isinstance(observation, dict):
        return {"observation": observation}  # possible in a log of the original app
    return {f"observation.{name}" if _is_own(name) else name: value for name, value in observation.items()}


def _probas(row: LoggedRow) -> dict[str, float]:
    probas: dict[str, float] = {} if row.probas == NULL else json.loads(row.probas)
    return {f"probas.{label}": proba for label, proba in probas.items()}


def _is_own(name: str) -> bool:
    return name in LoggedRow._fields or name.startswith(("observation.", "probas."))


def _as_kind(value: Any, kind: TableKind | None) -> Any:
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    if kind == "text" and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()  # UTF-8 cannot encode half of a surrogate pair
    return float(value) if kind == "number" else value
