"""The metrics of a model on given rows: those of scikit-learn under their scikit-learn names."""

import warnings
from typing import Any

import numpy as np
from sklearn import metrics as skm
from sklearn.exceptions import UndefinedMetricWarning

from serialize.errors import DumpError
from serialize.task import Outputs, Task

Vector = np.ndarray[Any, Any]


def score(task: Task, truth: Vector, outputs: Outputs, predicted: Vector | None = None) -> dict[str, float]:
    """The metrics of n outputs, of shape (n, n_classes) or (n, 1), against the true labels or values, of shape (n,):
    labels as indices into `task.classes`, the `predicted` ones too, which follow from the outputs if they are not
    given. A metric that is undefined for these rows (ROC AUC of a single class) is left
    out."""
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", message="The y_prob values do not sum to one")
        if task.kind == "regression":
            found = _regression(truth, outputs[:, 0])
        else:
            classes = task.class_indices(outputs) if predicted is None else predicted
            probas, positive = outputs.clip(0.0, 1.0), task.positive_index if task.kind == "binary" else None
            if positive is None:
                found = _multiclass(task, truth, probas, classes)
            else:
                found = _binary(truth == positive, probas[:, positive], classes == positive)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def encode(task: Task, y: Any, classes: Any = ()) -> Vector:
    """The targets, of shape (n,), as `score` takes them: numbers, or indices into the `classes_` of the classifier.
    Raises DumpError for a class that it does not have, and for a value of a regression that is not a number."""
    values = np.asarray(y).reshape(-1)
    if task.kind == "regression":
        try:
            return values.astype(float)
        except (TypeError, ValueError):
            raise DumpError("y_train holds values that are not numbers, but the model is a regressor.") from None
    position = {label: i for i, label in enumerate(np.asarray(classes).tolist())}
    unknown = [label for label in set(values.tolist()) if label not in position]
    if unknown:
        raise DumpError(f"y_train holds {unknown[0]!r}, a class that the model was not fitted on.")
    return np.array([position[label] for label in values.tolist()])


def class_counts(task: Task, truth: Vector) -> dict[str, int]:
    """The number of each class, as text, among n targets in the form of `encode`; empty for a regression."""
    counts = np.bincount(truth, minlength=len(task.classes)).tolist() if task.classes else []
    return dict(zip(map(str, task.classes), counts, strict=True))


def _binary(truth: Vector, proba: Vector, predicted: Vector) -> dict[str, float]:
    both = 0 < truth.sum() < len(truth)
    found = {
        "accuracy": skm.accuracy_score(truth, predicted),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, predicted) if both else np.nan,
        "precision": skm.precision_score(truth, predicted, zero_division=np.nan),
        "recall": skm.recall_score(truth, predicted, zero_division=np.nan),
        "f1": skm.f1_score(truth, predicted, zero_division=np.nan),
        "log_loss": skm.log_loss(truth, proba, labels=[False, True]),
        "brier_score": skm.brier_score_loss(truth, proba, pos_label=True, labels=[False, True]),
        "expected_calibration_error": _calibration_error(truth, proba),
    }
    if both:
        found["roc_auc"] = skm.roc_auc_score(truth, proba)
        found["average_precision"] = skm.average_precision_score(truth, proba)
    return found


def _multiclass(task: Task, truth: Vector, probas: Vector, predicted: Vector) -> dict[str, float]:
    known = list(range(len(task.classes)))
    return {
        "accuracy": skm.accuracy_score(truth, predicted),
        "balanced_accuracy": skm.recall_score(truth, predicted, average="macro", zero_division=np.nan),
        "precision_macro": skm.precision_score(truth, predicted, labels=known, average="macro", zero_division=0),
        "recall_macro": skm.recall_score(truth, predicted, labels=known, average="macro", zero_division=0),
        "f1_macro": skm.f1_score(truth, predicted, labels=known, average="macro", zero_division=0),
        "log_loss": skm.log_loss(truth, probas, labels=known),
        "expected_calibration_error": _calibration_error(truth == predicted, probas.max(axis=1)),
    }


def _regression(truth: Vector, predicted: Vector) -> dict[str, float]:
    return {
        "mean_absolute_error": skm.mean_absolute_error(truth, predicted),
        "root_mean_squared_error": skm.root_mean_squared_error(truth, predicted),
        "r2": skm.r2_score(truth, predicted) if len(truth) > 1 else np.nan,
        "bias": float(np.mean(predicted - truth)),
    }


def _calibration_error(truth: Vector, proba: Vector) -> float:
    """The expected calibration error: the mean distance between observed frequency and mean probability over ten bins
    of equal width (Naeini, Cooper and Hauskrecht 2015; bins as in scikit-learn's calibration_curve)."""
    place = np.searchsorted(np.linspace(0.0, 1.0, 11)[1:-1], proba)
    return float(np.abs(np.bincount(place, truth - proba)).sum() / len(truth))
