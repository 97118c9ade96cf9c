"""The task of a model: its kind, classes and threshold in JSON form, and the type of its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

Label = bool | int | float | str
TaskKind = Literal["binary", "multiclass", "regression"]
# What decides the class of an observation at the threshold, or with two highest probabilities: `predict` of the
# pipeline, or the rule: the positive class at the threshold, the first of the highest.
Ties = Literal["pipeline", "rule"]
# Probabilities of shape (n, n_classes), or predicted values of shape (n, 1).
Outputs = np.ndarray[Any, np.dtype[np.float64]]
# Indices into the classes, of shape (n,).
Indices = np.ndarray[Any, np.dtype[np.intp]]
TIE = 1e-6  # probabilities that are at most this far apart count as a tie


@dataclass(frozen=True, slots=True)
class Task:
    """A binary, multiclass or regression task.

    `classes` are the labels in JSON form, in the order of the columns of `predict_proba`; labels 0 and 1 become False
    and True. `positive_class` and `threshold` are for a binary task: an observation belongs to the positive class if
    its probability is at least the threshold. `ties` says what decides where rounding could."""

    kind: TaskKind
    classes: tuple[Label, ...] = ()
    positive_class: Label | None = None
    threshold: float | None = None
    ties: Ties = "rule"

    @property
    def positive_index(self) -> int:
        """The column of `predict_proba` that holds the positive class of a binary task."""
        return next(i for i, label in enumerate(self.classes) if label == self.positive_class)

    @property
    def negative_class(self) -> Label:
        """The other class of a binary task."""
        return self.classes[1 - self.positive_index]

    def class_indices(self, outputs: Outputs) -> Indices:
        """The predicted classes by the rule, of shape (n,), as indices into `classes`, of outputs of a classifier."""
        if self.kind == "multiclass":
            return np.asarray(outputs.argmax(axis=1))
        at = self.positive_index
        return np.where(outputs[:, at] >= (self.threshold or 0.0), at, 1 - at)

    def tied(self, outputs: Outputs) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """The outputs of a classifier that are a tie, of shape (n,)."""
        if self.kind == "multiclass":
            first, second = np.partition(outputs, (-2, -1), axis=1)[:, [-1, -2]].T
            return np.asarray(first - second <= TIE)
        return np.asarray(np.abs(outputs[:, self.positive_index] - (self.threshold or 0.0)) <= TIE)

    def to_json(self) -> dict[str, Any]:
        """The task as JSON."""
        return {
            "task": self.kind,
            "classes": list(self.classes),
            "positive_class": self.positive_class,
            "threshold": self.threshold,
            "ties": self.ties,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The task back from `to_json`; other keys are ignored."""
        ties = data.get("ties", "rule")  # format 2 has no such key
        return cls(data["task"], tuple(data["classes"]), data["positive_class"], data["threshold"], ties)
