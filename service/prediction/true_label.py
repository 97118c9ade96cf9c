"""Parses the true class or true value of a prediction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serialize.task import Label, Task
from service.errors import LISTED_FAULTS, Fault, InvalidBody, pointer, shown
from service.prediction.observation import collect, key_of, members_of, parse_id


@dataclass(frozen=True, slots=True)
class TrueLabel:
    """The caller's id as canonical JSON, and the true class in the model's own type, or the true value."""

    key: str
    label: Label


class LabelParser:
    """Parses payloads into true labels for the task of the model."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.name = "true_value" if task.kind == "regression" else "true_class"
        self.expected = (
            "a finite number" if task.kind == "regression" else "one of " + ", ".join(map(shown, task.classes))
        )

    def parse(self, payload: Any) -> TrueLabel:
        """Parses `{"id": ..., "true_class": ...}`, with `true_value` for a regression. Raises InvalidBody with all
        faults."""
        members, faults = members_of(payload, ("id", self.name))
        id_ = collect(faults, parse_id, members["id"]) if "id" in members else None
        label = self.label(members.get(self.name))
        if label is None and self.name in members:
            faults.append(self.fault(members[self.name]))
        if id_ is None or label is None or faults:
            raise InvalidBody(faults)
        return TrueLabel(key_of(id_), label)

    def require_one_label_each(self, labels: Sequence[TrueLabel], payload: Sequence[Any]) -> None:
        """Raises InvalidBody if two labels of an array differ for one id: the answer could show only one of them.
        `payload` holds the items that the labels were parsed from. The faults point at both."""
        first: dict[str, int] = {}
        differing: dict[int, None] = {}
        for i, label in enumerate(labels):
            before = first.setdefault(label.key, i)
            if label.label != labels[before].label:
                differing[before] = differing[i] = None
                if len(differing) >= LISTED_FAULTS:
                    break
        if differing:
            raise InvalidBody([self._fault_of_two(i, payload[i]) for i in sorted(differing)[:LISTED_FAULTS]])

    def label(self, value: Any) -> Label | None:
        """A JSON value as a label of the model, or None if it is not one."""
        if self._task.kind == "regression":
            return _finite(value)
        for label in self._task.classes:
            if _same(label, value):
                return label
        return None

    def fault(self, value: Any) -> Fault:
        """The fault of a JSON value that is no label of the model."""
        detail = f"{self.name}: expected {self.expected}; got {shown(value)}"
        return Fault(pointer(self.name), detail, value, self.expected, "null" if value is None else "value")

    def _fault_of_two(self, i: int, item: Any) -> Fault:
        expected = f"one {self.name} for each id"
        detail = f"item {i}: {self.name}: expected {expected}; the array has several for the id {shown(item['id'])}"
        return Fault(pointer(i, self.name), detail, item[self.name], expected)


def _same(label: Label, value: Any) -> bool:
    """Whether a JSON value means a label: 1.0 also means 1, and 0 and 1 also mean false and true."""
    if isinstance(label, str) or isinstance(value, str):
        return bool(label == value)
    if isinstance(value, bool) and not isinstance(label, bool):
        return False
    return isinstance(value, bool | int | float) and label == value


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
