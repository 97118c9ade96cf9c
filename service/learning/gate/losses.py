"""The loss of each row: the Brier score of a classifier (Brier 1950), the squared error of a regression."""

from collections.abc import Mapping

import numpy as np

from serialize.task import TaskKind
from service.monitoring.intervals import Array

LOSS_NAMES: Mapping[TaskKind, str] = {
    "binary": "brier_score",
    "multiclass": "brier_score",
    "regression": "squared_error",
}


class GateError(ValueError):
    """The gate was given rows that it cannot compare. The message names what is wrong with them."""


def row_losses(kind: TaskKind, truth: Array, outputs: Array, positive: int, whose: str) -> Array:
    """The loss of each of n rows, of shape (n,): for a binary task (p - y)^2, for several classes the sum of these
    squares over the classes.

    `truth` is of shape (n,), class indices or values. `outputs` are the probabilities of the positive class, whose
    index is `positive`, or values, of shape (n,), or the probabilities of k classes, of shape (n, k). Raises GateError
    for other shapes, for numbers that are not finite, and for squares that are not."""
    _require_shape(kind, truth, outputs, whose)
    _require_finite(truth, "The truth")
    _require_finite(outputs, f"The output of the {whose}")
    with np.errstate(over="ignore"):
        losses = _losses(kind, truth, outputs.astype(np.float64), positive)
        if not np.isfinite(losses.sum()):
            raise GateError(f"The errors of the {whose} are too large to be squared.")
    return losses


def _losses(kind: TaskKind, truth: Array, outputs: Array, positive: int) -> Array:
    if kind == "regression":
        return np.asarray((outputs - truth) ** 2)
    indices = class_indices(truth, outputs.shape[1] if kind == "multiclass" else 2)
    if kind == "binary":
        return np.asarray((outputs - (indices == positive)) ** 2)
    of_true = outputs[np.arange(len(indices)), indices]
    return np.asarray((outputs**2).sum(axis=1) - of_true**2 + (1 - of_true) ** 2)


def class_indices(truth: Array, classes: int) -> Array:
    """The true classes as integers. Raises GateError for one that is not an index into so many classes."""
    indices = truth.astype(np.int64)
    if len(truth) and (not 0 <= indices.min() <= indices.max() < classes or (indices != truth).any()):
        raise GateError(f"The truth must hold indices of {classes} classes, from 0 to {classes - 1}.")
    return indices


def _require_shape(kind: TaskKind, truth: Array, outputs: Array, whose: str) -> None:
    dimensions = 2 if kind == "multiclass" else 1
    if truth.ndim != 1 or outputs.ndim != dimensions or len(outputs) != len(truth):
        expected = f"({len(truth)}, k)" if dimensions == 2 else f"({len(truth)},)"
        raise GateError(f"The output of the {whose} has shape {outputs.shape}; expected {expected}.")


def _require_finite(numbers: Array, what: str) -> None:
    wrong = np.count_nonzero(~np.isfinite(numbers.astype(np.float64)))
    if wrong:
        raise GateError(f"{what} is NaN or infinite at {wrong} {'place' if wrong == 1 else 'places'}.")
