"""The task of a fitted estimator, and the JSON form of its labels."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from serialize.errors import DumpError
from serialize.task import Label, Task


def infer_task(pipeline: Any, *, threshold: float | None = None, positive_class: Label | None = None) -> Task:
    """The task of a fitted estimator; `threshold` (0.5) and `positive_class` (the second class) are for a binary
    one. Raises DumpError for an estimator that the service cannot use."""
    _refuse_unfitted(pipeline)
    if not hasattr(pipeline, "predict"):
        raise DumpError(f"{type(pipeline).__name__} has no predict; dump a fitted classifier or regressor.")
    if not (is_classifier(pipeline) or hasattr(pipeline, "classes_")):
        return _regression(pipeline, threshold, positive_class)
    if not hasattr(pipeline, "predict_proba"):
        raise DumpError(
            f"{_final_name(pipeline)} has no predict_proba, and every response has a probability; wrap it in "
            "sklearn.calibration.CalibratedClassifierCV, or choose a classifier that has one."
        )
    return classification(labels(pipeline.classes_), threshold, positive_class)


def classification(classes: tuple[Label, ...], threshold: float | None, positive_class: Label | None) -> Task:
    """The task of a classifier with these labels in JSON form. Raises DumpError as `infer_task`."""
    if len(classes) < 2:
        raise DumpError("The model has a single class; fit it on rows of at least two.")
    if len(classes) > 2:
        if threshold is not None or positive_class is not None:
            raise DumpError(f"threshold and positive_class are for two classes; this model has {len(classes)}.")
        return Task("multiclass", classes)
    return _binary(classes, threshold, positive_class)


def labels(classes: Any) -> tuple[Label, ...]:
    """The labels of a classifier's `classes_`, an array of shape (n_classes,), in JSON form. Raises DumpError for
    labels of another type than boolean, integer, number or string, or of more than one output."""
    several = isinstance(classes, list) and any(np.ndim(item) for item in classes)
    array = np.asarray([] if several else classes)
    if several or array.ndim != 1:
        raise DumpError("The model has several outputs; the service answers one per observation: fit one model each.")
    plain = [item.item() if isinstance(item, np.generic) else item for item in array]
    odd = [item for item in plain if not isinstance(item, bool | int | float | str)]
    if odd:
        raise DumpError(
            f"Class {odd[0]!r} is a {type(odd[0]).__name__}; make the classes strings, integers or booleans."
        )
    if len(plain) == 2 and all(item in (0, 1) for item in plain):
        return (bool(plain[0]), bool(plain[1]))
    return tuple(str(item) if isinstance(item, str) else item for item in plain)


def _binary(classes: tuple[Label, ...], threshold: float | None, positive_class: Label | None) -> Task:
    positive = classes[1] if positive_class is None else positive_class
    matching = [label for label in classes if label == positive]
    if not matching:
        raise DumpError(f"positive_class {positive!r} is not a class of the model; the classes are {classes}.")
    cut = 0.5 if threshold is None else threshold
    if isinstance(cut, str | bool) or not 0.0 <= cut <= 1.0:
        raise DumpError(f"threshold {cut!r} is not a probability; give a number from 0 to 1.")
    return Task("binary", classes, matching[0], float(cut))


def _regression(pipeline: Any, threshold: float | None, positive_class: Label | None) -> Task:
    if not is_regressor(pipeline):
        raise DumpError(f"{_final_name(pipeline)} is neither a classifier nor a regressor; dump one of these.")
    if threshold is not None or positive_class is not None:
        raise DumpError("threshold and positive_class are for two classes; this model is a regressor.")
    return Task("regression")


def _refuse_unfitted(pipeline: Any) -> None:
    try:
        check_is_fitted(pipeline)
    except NotFittedError:
        raise DumpError(f"{type(pipeline).__name__} is not fitted; call its fit(X_train, y_train) first.") from None
    except (TypeError, AttributeError):
        raise DumpError(
            f"{type(pipeline).__name__} is not a scikit-learn estimator; dump a fitted estimator or Pipeline, one of "
            "your own derived from sklearn.base.BaseEstimator."
        ) from None


def _final_name(pipeline: Any) -> str:
    steps = getattr(pipeline, "steps", None)
    return type(steps[-1][1] if steps else pipeline).__name__
