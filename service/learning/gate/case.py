"""What the gate judges: the predictions of two models on the same rows, and the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serialize.task import Label, TaskKind
from service.learning.gate.losses import GateError
from service.monitoring.intervals import Array

GATE_MARGIN = 0.01


@dataclass(frozen=True, slots=True)
class Case:
    """n labelled rows that neither model was trained on.

    `truth` holds class indices or values, of shape (n,). `champion` and `challenger` are the outputs of the models: the
    probability of the positive class, whose index is `positive`, or values, of shape (n,), or the probabilities of k
    classes, of shape (n, k). `champion_classes` and `challenger_classes` are the predicted class indices of a binary
    task, of shape (n,), or None.

    `coverage` has, for each class that the champion predicted, the labelled rows and all rows. `clusters` and each of
    `guards`, by column, hold the value of each row, of shape (n,). `attempt` counts from 1 since the last promotion.
    `new_labels` are the rows labelled since the last attempt, None if there was none. `margin` is a share of the
    champion's loss."""

    kind: TaskKind
    truth: Array
    champion: Array
    challenger: Array
    positive: int = 1
    champion_classes: Array | None = None
    challenger_classes: Array | None = None
    coverage: Mapping[Label, tuple[int, int]] = field(default_factory=dict)
    clusters: Array | None = None
    guards: Mapping[str, Array] = field(default_factory=dict)
    attempt: int = 1
    new_labels: int | None = None
    margin: float = GATE_MARGIN

    def require_lengths(self) -> None:
        """Raises GateError if a column does not have one value for each row."""
        columns = {
            "clusters": self.clusters,
            "champion_classes": self.champion_classes,
            "challenger_classes": self.challenger_classes,
            **{f"guard {name}": values for name, values in self.guards.items()},
        }
        for name, values in columns.items():
            if values is not None and values.shape != self.truth.shape:
                raise GateError(f"{name} has shape {values.shape}; expected {self.truth.shape}.")
