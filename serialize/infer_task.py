"""The task of a fitted estimator, and the JSON form of its labels."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.utils.validation import check_is_fitted

from serialize.errors import DumpError
from serialize.task import Label, Task


def infer_task(pipeline: Any, *, threshold: float | None = None, positive_class: Label | None = None) -> Task:
    """The task of a fitted estimator. `threshold` and `positive_class` are for a binary one; by default they are those
    of a FixedThresholdClassifier or TunedThresholdClassifierCV at its end, otherwise 0.5 and the second class. Raises
    DumpError for an estimator that the service cannot use."""
    _refuse_unfitted(pipeline)
    if not hasattr(pipeline, "predict"):
        raise DumpError(f"{type(pipeline).__name__} has no predict; dump a fitted classifier or regressor.")
    if is_regressor(pipeline) or not (is_classifier(pipeline) or hasattr(pipeline, "classes_")):
        return _regression(pipeline, threshold, positive_class)
    if not hasattr(pipeline, "predict_proba"):
        raise DumpError(
            f"{_final_name(pipeline)} has no predict_proba, and every response has a probability; wrap it in "
            "sklearn.calibration.CalibratedClassifierCV, or choose a classifier that has one."
        )
    classes = labels(pipeline.classes_)
    if len(classes) < 2:
        raise DumpError("The model has a single class; fit it on rows of at least two.")
    if len(classes) > 2:
        if threshold is not None or positive_class is not None:
            raise DumpError(f"threshold and positive_class are for two classes; this model has {len(classes)}.")
        return Task("multiclass", classes, ties="pipeline")
    return _binary(_own_threshold(pipeline), classes, threshold, positive_class)


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


def _binary(
    own: tuple[float, Label | None], classes: tuple[Label, ...], threshold: float | None, positive_class: Label | None
) -> Task:
    own_threshold, own_class = own[0], classes[1] if own[1] is None else own[1]
    positive = own_class if positive_class is None else positive_class
    matching = [label for label in classes if label == positive]
    if not matching:
        raise DumpError(f"positive_class {positive!r} is not a class of the model; the classes are {classes}.")
    cut = threshold
    if cut is None:
        cut = own_threshold if positive == own_class else 1.0 - own_threshold
    if isinstance(cut, str | bool) or not 0.0 <= cut <= 1.0:
        raise DumpError(f"threshold {cut!r} is not a probability; give a number from 0 to 1.")
    return Task("binary", classes, matching[0], float(cut), "pipeline" if threshold is None else "rule")


def _own_threshold(pipeline: Any) -> tuple[float, Label | None]:
    """The threshold at which a classifier itself decides, and the class that it is for; None is the second class. A
    threshold for another score than the probability is not used."""
    final = _final(pipeline)
    if isinstance(final, FixedThresholdClassifier):
        threshold, positive = final.threshold, final.pos_label
    elif isinstance(final, TunedThresholdClassifierCV):
        threshold, positive = final.best_threshold_, final._curve_scorer._get_pos_label()
    else:
        return 0.5, None
    by_score = final.response_method == "decision_function"
    return 0.5 if threshold == "auto" or by_score else float(threshold), positive


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


def _final(pipeline: Any) -> Any:
    """The last estimator of a pipeline, or of the best one of a search."""
    inner = pipeline.steps[-1][1] if hasattr(pipeline, "steps") else getattr(pipeline, "best_estimator_", None)
    return pipeline if inner is None else _final(inner)


def _final_name(pipeline: Any) -> str:
    return type(_final(pipeline)).__name__
