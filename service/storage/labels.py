"""True labels in the log. The latest label counts; replaced labels are kept as corrections."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from service.errors import LISTED_FAULTS, Fault, InvalidBody, ServiceError, UnknownObservation, pointer
from service.prediction.observation import canonical
from service.prediction.record import Record
from service.prediction.true_label import TrueLabel
from service.storage.array_statements import ArrayStatements
from service.storage.statements import InsertValues, Statements, moment

# What became of one label of a file. "done before" is a label that an earlier run recorded. A Fault rejects it.
LabelOutcome = Literal["labelled", "corrected", "unchanged", "done before"] | Fault


class LabelLog:
    """Records true labels through an open connection. For one caller at a time."""

    def __init__(self, statements: Statements, arrays: ArrayStatements, *, regression: bool) -> None:
        self._statements = statements
        self._arrays = arrays
        self._true = "true_value" if regression else "true_class"

    def record(self, groups: Sequence[Sequence[TrueLabel]]) -> list[list[Record] | ServiceError]:
        """Within a transaction: records the labels of each group and returns the rows as they are then. A replaced
        label is kept as a correction. An id without a prediction is an UnknownObservation for its group, and one with
        the prediction of another kind of task, such as a class where this model predicts values, is an InvalidBody."""
        if not groups:
            return []
        keys = sorted({label.key for group in groups for label in group})
        rows = {row["observation_id"]: row for row in self._statements.read(keys, lock=True)}
        now = datetime.now(UTC)
        rounds: list[dict[int, Any]] = []
        corrections: list[InsertValues] = []
        outcomes: list[list[Record] | ServiceError] = []
        for group in groups:
            unknown = {i: label for i, label in enumerate(group) if label.key not in rows}
            if unknown:
                outcomes.append(_unknown(unknown))
                continue
            other = {i: label for i, label in enumerate(group) if self._is_of_other_task(rows[label.key])}
            if other:
                outcomes.append(self._other_task(other))
                continue
            for label in group:
                corrections += self._relabel(rows[label.key], label, now, rounds)
            outcomes.append([Record.of(rows[label.key]) for label in group])
        for changed in rounds:
            self._write_labels(changed, now)
        self._statements.correct(corrections)
        return outcomes

    def record_each(self, labels: Sequence[TrueLabel], late: set[str] | None = None) -> list[LabelOutcome]:
        """Within a transaction: records labels in order, as `record` would do in one group for each, but without
        reading the observations. Returns the outcome of each.

        `late` says that an earlier run recorded these labels: only predictions without a label get theirs, because
        they were made since, and their keys are added to `late`, so that further labels of them are recorded too."""
        rows = {row["observation_id"]: row for row in self._arrays.label_states({label.key: None for label in labels})}
        if late is not None:
            late |= {key for key, row in rows.items() if row[self._true] is None}
        now = datetime.now(UTC)
        rounds: list[dict[int, Any]] = []
        corrections: list[InsertValues] = []
        outcomes: list[LabelOutcome] = []
        for label in labels:
            row = rows.get(label.key)
            if row is None:
                outcomes.append(_fault_of_unknown(pointer("id"), label))
            elif self._is_of_other_task(row):
                outcomes.append(self._fault_of_other_task(pointer("id"), label))
            elif late is not None and label.key not in late:
                outcomes.append("done before")
            else:
                was = row[self._true]
                replaced = self._relabel(row, label, now, rounds)
                corrections += replaced
                outcomes.append("corrected" if replaced else "labelled" if was is None else "unchanged")
        for changed in rounds:
            self._write_labels(changed, now)
        self._statements.correct(corrections)
        return outcomes

    def _is_of_other_task(self, row: Mapping[str, Any]) -> bool:
        return (row["predicted_value"] is not None) != (self._true == "true_value")

    def _other_task(self, labels: Mapping[int, TrueLabel]) -> InvalidBody:
        """The error for labels of predictions of another kind of task, by their index in the group."""
        listed = list(labels.items())[:LISTED_FAULTS]
        return InvalidBody([self._fault_of_other_task(pointer(place, "id"), label) for place, label in listed])

    def _fault_of_other_task(self, where: str, label: TrueLabel) -> Fault:
        takes, has = ("value", "class") if self._true == "true_value" else ("class", "value")
        what = f"has a predicted {has}, so it takes no {self._true}"
        return Fault.of_id(where, json.loads(label.key), what, f"the id of a predicted {takes}", "other task")

    def _relabel(
        self, row: dict[str, Any], label: TrueLabel, now: datetime, rounds: list[dict[int, Any]]
    ) -> list[InsertValues]:
        """Sets the label in the row; returns the correction, if it replaces another label. The n-th new label of a row
        goes into the n-th round, so that each is written, and the feed of labels gets it."""
        value = label.label if self._true == "true_value" else canonical(label.label)
        previous = row[self._true]
        if previous == value:
            return []
        replaced = []
        if previous is not None:
            times = (moment(row["labelled_at"]), moment(now))
            replaced.append((row["id"], row["true_class"], row["true_value"], *times))
        row[self._true], row["labelled_at"] = value, now
        if all(row["id"] in changed for changed in rounds):
            rounds.append({})
        next(changed for changed in rounds if row["id"] not in changed)[row["id"]] = value
        return replaced

    def _write_labels(self, changed: Mapping[int, Any], now: datetime) -> None:
        if len(changed) > 1:
            self._arrays.label(self._true, list(changed.items()), now)
            return
        for id_, value in changed.items():
            self._statements.label(self._true, id_, value, now)


def _unknown(labels: Mapping[int, TrueLabel]) -> UnknownObservation:
    """The error for labels whose ids have no prediction, by their index in the group."""
    faults = [_fault_of_unknown(pointer(place, "id"), label) for place, label in labels.items()]
    return UnknownObservation("; ".join(fault.detail for fault in faults), faults)


def _fault_of_unknown(where: str, label: TrueLabel) -> Fault:
    return Fault.of_id(where, json.loads(label.key), "does not exist", "the id of a prediction", "unknown id")
