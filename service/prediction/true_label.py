"""A true class (or true value) that comes back for a prediction, parsed once at the edge."""

import math
from dataclasses import dataclass
from typing import Any

from serialize.task import Label, Task
from service.errors import Fault, InvalidBody, pointer, shown
from service.prediction.observation import collect, key_of, members_of, parse_id


@dataclass(frozen=True, slots=True)
class TrueLabel:
    """The caller's id in its canonical form, and the label in the model's own, or the true value."""

    key: str
    label: Label


class LabelParser:
    """Turns payloads into true labels by the model's task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.name = "true_value" if task.kind == "regression" else "true_class"
        self.expected = "a finite number" if task.kind == "regression" else _listed(task.classes)

    def parse(self, payload: Any) -> TrueLabel:
        """`{"id": ..., "true_class": ...}`, or with `true_value` for a regression, as a TrueLabel. Raises
        InvalidBody with every fault there is."""
        members, faults = members_of(payload, ("id", self.name))
        id_ = collect(faults, parse_id, members["id"]) if "id" in members else None
        label = self.label(members.get(self.name))
        if label is None and self.name in members:
            faults.append(self._fault(members[self.name]))
        if id_ is None or label is None or faults:
            raise InvalidBody(faults)
        return TrueLabel(key_of(id_), label)

    def label(self, value: Any) -> Label | None:
        """A JSON value as a label of the model, or None where it is none."""
        if self._task.kind == "regression":
            return _finite(value)
        for label in self._task.classes:
            if _same(label, value):
                return label
        return None

    def _fault(self, value: Any) -> Fault:
        detail = f"{self.name}: expected {self.expected}; got {shown(value)}"
        return Fault(pointer(self.name), detail, value, self.expected)


def _same(label: Label, value: Any) -> bool:
    """Whether a JSON value is a label in one of its obvious forms: 1 and 1.0 alike, and 0 and 1 for booleans."""
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


def _listed(classes: tuple[Label, ...]) -> str:
    return "one of " + ", ".join(shown(label) for label in classes)
