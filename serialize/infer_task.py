"""The task of a fitted estimator, and the JSON form of its labels."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_outlier_detector, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.utils.validation import check_is_fitted

from serialize.errors import DumpError
from serialize.task import Label, Task


def infer_task(pipeline: Any, *, threshold: float | None = None, positive_class: Label | None = None) -> Task:
    """The task of a fitted estimator. `threshold` and `positive_class` are for a binary one; by default they are those
    of a FixedThresholdClassifier or TunedThresholdClassifierCV at its end, otherwise 0.5 and the second class. Raises
    DumpError for an estimator that the service cannot use."""
    _refuse_unfitted(pipeline)
    if not hasattr(pipeline, "predict"):
        raise DumpError(f"{final_name(pipeline)} has no predict; {_on_answers(pipeline)}.")
    if is_regressor(pipeline) or not (is_classifier(pipeline) or hasattr(pipeline, "classes_")):
        return _regression(pipeline, threshold, positive_class)
    if _has_several_outputs(getattr(pipeline, "classes_", None)):
        raise DumpError(f"The model has several outputs; {one_per_output(pipeline)}.")
    if not hasattr(pipeline, "predict_proba"):
        raise DumpError(
            f"{final_name(pipeline)} has no predict_proba, and every response has a probability; "
            f"{_with_probabilities(pipeline)}."
        )
    return classification(pipeline, labels(pipeline.classes_), threshold, positive_class)


def classification(
    pipeline: Any, classes: tuple[Label, ...], threshold: float | None, positive_class: Label | None
) -> Task:
    """The task of a classifier, fitted or not, with these labels in JSON form. Raises DumpError as `infer_task`."""
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
    array = np.asarray(classes)
    if array.ndim != 1:
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
    final = _deciding(pipeline)
    if isinstance(final, FixedThresholdClassifier):
        threshold, positive = final.threshold, final.pos_label
    elif isinstance(final, TunedThresholdClassifierCV) and hasattr(final, "best_threshold_"):
        threshold, positive = final.best_threshold_, final._curve_scorer._get_pos_label()
    else:
        return 0.5, None
    by_score = final.response_method == "decision_function"
    return 0.5 if threshold == "auto" or by_score else float(threshold), positive


def _regression(pipeline: Any, threshold: float | None, positive_class: Label | None) -> Task:
    if not is_regressor(pipeline):
        raise DumpError(f"{final_name(pipeline)} is neither a classifier nor a regressor; {_on_answers(pipeline)}.")
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


def _deciding(pipeline: Any) -> Any:
    """The last estimator of a pipeline, or of the best one of a search."""
    inner = pipeline.steps[-1][1] if hasattr(pipeline, "steps") else getattr(pipeline, "best_estimator_", None)
    return pipeline if inner is None else _deciding(inner)


# The functions below end the sentence of a refusal with lines of code in backticks, for the refused `model` and its
# training data `X` and `y`. In their order the lines make a model to dump: `test_infer_task.py` executes them.


def one_per_output(pipeline: Any) -> str:
    """The advice for a model of several outputs: one model for each of them."""
    final = _final(pipeline)
    line = "clone(model).fit(X, y)"
    if isinstance(final, ClassifierChain | MultiOutputClassifier | MultiOutputRegressor | RegressorChain):
        inner = "estimator" if hasattr(final, "estimator") else "base_estimator"  # chains, before scikit-learn 1.7
        line = f"{_before(pipeline, f'clone({_final_code(pipeline)}.{inner})')}.fit(X, y)"
    return (
        "the service answers one value per observation, so dump one model per output, for the first "
        f"`y = np.asarray(y)[:, 0]` and `{line}`"
    )


def _with_probabilities(pipeline: Any) -> str:
    """The advice for a classifier without probabilities."""
    if getattr(_final(pipeline), "voting", None) == "hard":
        soft = _before(pipeline, f'clone({_final_code(pipeline)}).set_params(voting="soft")')
        return f"dump `{soft}.fit(X, y)`"
    if hasattr(pipeline, "decision_function"):
        return "dump `CalibratedClassifierCV(model, ensemble=False).fit(X, y)`, which is in sklearn.calibration"
    return f"dump a classifier that has it, such as `{_before(pipeline, 'LogisticRegression()')}.fit(X, y)`"


def _on_answers(pipeline: Any) -> str:
    """The advice for a model that was fitted without targets: a classifier of its answers, or of its features."""
    has_predict, final = hasattr(pipeline, "predict"), _final_code(pipeline)
    if is_outlier_detector(pipeline):
        answers = "model.predict(X) == -1" if has_predict else f"{final}.negative_outlier_factor_ < {final}.offset_"
    elif has_predict:
        answers = "model.predict(X)"
    elif hasattr(_final(pipeline), "labels_"):
        answers = f"{final}.labels_"
    else:
        return (
            "dump a classifier or regressor behind it, such as `make_pipeline(model, LogisticRegression()).fit(X, y)`"
        )
    line = f"{_before(pipeline, 'RandomForestClassifier()')}.fit(X, y)"
    return f"label the rows with its answers, `y = {answers}`, and dump a classifier of these, `{line}`"


def _before(pipeline: Any, final: str) -> str:
    """The code of an estimator after the other steps of the pipeline."""
    return f"make_pipeline(model[:-1], {final})" if len(getattr(pipeline, "steps", ())) > 1 else final


def _final_code(pipeline: Any) -> str:
    return "model[-1]" if hasattr(pipeline, "steps") else "model"


def _has_several_outputs(classes: Any) -> bool:
    return isinstance(classes, list) and any(np.ndim(item) for item in classes)


def _final(pipeline: Any) -> Any:
    steps = getattr(pipeline, "steps", None)
    return steps[-1][1] if steps else pipeline


def final_name(pipeline: Any) -> str:
    """The class of the last estimator of a pipeline."""
    return type(_final(pipeline)).__name__
