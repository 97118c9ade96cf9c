"""Measures of both models that are shown with a verdict and do not decide it."""

from typing import Any

import numpy as np

from service.learning.gate.case import Case
from service.learning.gate.losses import class_indices
from service.monitoring.intervals import Array
from service.monitoring.score_counts import ScoreCounts

# The log loss takes a smaller probability as this one. Without a bound a single answer of exactly 0 would decide it.
LEAST_PROBA = 1e-6


def measures(case: Case) -> dict[str, Any]:
    """Log loss, expected calibration error and share predicted positive of both models, each None where it is not
    defined: for a regression, without rows, and the share for several classes or without predicted classes."""
    outputs, classes = (case.champion, case.challenger), (case.champion_classes, case.challenger_classes)
    return {
        "log_loss": _of_both(*(_log_loss(case, each) for each in outputs)),
        "expected_calibration_error": _of_both(*(_calibration(case, each) for each in outputs)),
        "predicted_positive": _of_both(*(_positive(case, each) for each in classes)),
    }


def _of_both(champion: float | None, challenger: float | None) -> dict[str, float | None]:
    return {"champion": champion, "challenger": challenger}


def _log_loss(case: Case, outputs: Array) -> float | None:
    if case.kind == "regression" or not len(outputs):
        return None
    if case.kind == "binary":
        proba = np.where(case.truth == case.positive, outputs, 1 - outputs)
    else:
        proba = outputs[np.arange(len(outputs)), class_indices(case.truth, outputs.shape[1])]
    return float(-np.log(proba.clip(LEAST_PROBA, 1.0)).mean())


def _calibration(case: Case, outputs: Array) -> float | None:
    """Of the positive class, or of the class with the highest probability."""
    if case.kind == "regression" or not len(outputs):
        return None
    if case.kind == "binary":
        proba, truth = outputs, case.truth == case.positive
    else:
        proba, truth = outputs.max(axis=1), outputs.argmax(axis=1) == case.truth
    return ScoreCounts.of(proba.clip(0.0, 1.0), truth).metrics()["expected_calibration_error"].value


def _positive(case: Case, classes: Array | None) -> float | None:
    if case.kind != "binary" or classes is None or not len(classes):
        return None
    return float((classes == case.positive).mean())
