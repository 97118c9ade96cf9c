"""The task of a model: its kind, classes and threshold in JSON form, and the type of its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

Label = bool | int | float | str
TaskKind = Literal["binary", "multiclass", "regression"]
# Probabilities of shape (n, n_classes), or predicted values of shape (n, 1).
Outputs = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Task:
    """A binary, multiclass or regression task.

    `classes` are the labels in JSON form, in the order of the columns of `predict_proba`; labels 0 and 1 become False
    and True. `positive_class` and `threshold` are for a binary task: an observation belongs to the positive class if
    its probability is at least the threshold."""

    kind: TaskKind
    classes: tuple[Label, ...] = ()
    positive_class: Label | None = None
    threshold: float | None = None

    @property
    def positive_index(self) -> int:
        """The column of `predict_proba` that holds the positive class of a binary task."""
        return next(i for i, label in enumerate(self.classes) if label == self.positive_class)

    @property
    def negative_class(self) -> Label:
        """The other class of a binary task."""
        return self.classes[1 - self.positive_index]

    def to_json(self) -> dict[str, Any]:
        """The task as JSON."""
        return {
            "task": self.kind,
            "classes": list(self.classes),
            "positive_class": self.positive_class,
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The task back from `to_json`; other keys are ignored."""
        return cls(data["task"], tuple(data["classes"]), data["positive_class"], data["threshold"])
