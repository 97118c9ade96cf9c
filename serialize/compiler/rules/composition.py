"""Takes a value through a fitted estimator to outputs of shape (n, c): with its own rule, or with the rules of the
estimators that it holds. The program calls an estimator without a rule."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import applied, both, calculated, numbers
from serialize.compiler.rules.demands import refusing
from serialize.compiler.rules.estimators import RULES
from serialize.compiler.rules.steps import piped
from serialize.compiler.rules.trees import TREES
from serialize.compiler.runtime.native import Path, step_at
from serialize.compiler.runtime.operations import UFUNCS
from serialize.compiler.values import NoRule, Parts, Value


def estimated(builder: Builder, path: Path, method: str, value: Value) -> Parts:
    """What a method (predict_proba, predict or decision_function) of the estimator at a path gives. Raises NoRule if
    no candidate gives what the estimator gives."""
    estimator = step_at(builder.model.pipeline, path)
    name = type(estimator).__name__
    if name == "Pipeline":
        last = len(estimator.steps) - 1
        return estimated(builder, (*path, "steps", last, 1), method, piped(builder, path, value, last))
    if name in _INNER:
        return estimated(builder, (*path, _INNER[name]), method, value)
    reference = builder.called(path, method, value)
    return builder.first(_candidates(builder, path, estimator, method, value), reference)


def _candidates(
    builder: Builder, path: Path, estimator: Any, method: str, value: Value
) -> Iterator[Callable[[], Parts]]:
    name = type(estimator).__name__
    tree = TREES.get((name, method))
    if tree is not None:
        yield lambda: tree(builder, path, estimator, value)
    whole = _WHOLE.get((name, method))
    if whole is not None:
        yield lambda: whole(builder, path, estimator, value)
    rule = RULES.get((name, method))
    if rule is not None:
        yield lambda: rule(builder, estimator, refusing(builder, estimator, numbers(builder, value)))
    if not isinstance(value, Parts):
        yield lambda: builder.over_array(path, method, numbers(builder, value))
    yield from builder.native(path, method, value)


def _voted(method: str) -> "Whole":
    """The weighted mean of the outputs of several estimators."""

    def rule(builder: Builder, path: Path, voting: Any, value: Value) -> Parts:
        count = len(voting.estimators_)
        weights = np.ones(count) if voting.weights is None else np.array(voting._weights_not_none, dtype=np.float64)
        made = [estimated(builder, (*path, "estimators_", number), method, value) for number in range(count)]
        return _mean(builder, made, weights)

    return rule


def _stacked(method: str) -> "Whole":
    """The outputs of several estimators are the input of the last one."""

    def rule(builder: Builder, path: Path, stacking: Any, value: Value) -> Parts:
        parts: list[Any] = []
        for number, (own, estimator) in enumerate(zip(stacking.stack_method_, stacking.estimators_, strict=True)):
            made = estimated(builder, (*path, "estimators_", number), own, value)
            first = 1 if own == "predict_proba" and made.width == 2 else 0
            chosen = builder.chosen(made, range(first, made.width))
            if own == "predict" and hasattr(estimator, "classes_"):
                raise NoRule("Labels are stacked.")
            parts += chosen.parts
        if stacking.passthrough:
            parts += numbers(builder, value).parts
        whole = Parts(tuple(parts), None)
        reference = builder.values[builder.block(whole).register]
        return estimated(builder, (*path, "final_estimator_"), method, Parts(whole.parts, reference))

    return rule


def _calibrated(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """The mean of calibrated classifiers."""
    count = len(model.calibrated_classifiers_)
    made = [
        _calibrated_one(builder, (*path, "calibrated_classifiers_", number), value, len(model.classes_))
        for number in range(count)
    ]
    return _mean(builder, made, np.ones(count))


def _calibrated_one(builder: Builder, path: Path, value: Value, classes: int) -> Parts:
    one = step_at(builder.model.pipeline, path)
    method = "decision_function" if hasattr(one.estimator, "decision_function") else "predict_proba"
    scores = estimated(builder, (*path, "estimator"), method, value)
    scores = _double(builder, builder.chosen(scores, [1]) if method == "predict_proba" and classes == 2 else scores)
    if one.method == "sigmoid":
        slopes, offsets = (np.array([getattr(curve, name) for curve in one.calibrators]) for name in ("a_", "b_"))
        scores = calculated(builder, calculated(builder, scores, "times", -slopes), "minus", offsets)
        proba = calculated(builder, scores, "expit")
    elif one.method == "isotonic":
        proba = Parts(
            tuple(
                part
                for place, curve in enumerate(one.calibrators)
                for part in _isotonic(builder, curve, builder.chosen(scores, [place])).parts
            ),
            None,
        )
    else:
        raise NoRule(f"The calibration {one.method!r} has no rule.")
    return both(builder, proba) if classes == 2 else applied(builder, "normalized", proba)


def _isotonic(builder: Builder, curve: Any, value: Parts) -> Parts:
    """A monotone curve: linear between its points, constant beyond them."""
    if curve.out_of_bounds != "clip":
        raise NoRule("The curve is not clipped.")
    return applied(builder, "interpolate", value, x=curve.X_thresholds_, y=curve.y_thresholds_)


def _each_class(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """One classifier for each class; their probabilities are scaled to sum to one."""
    parts: list[Any] = []
    for number, estimator in enumerate(model.estimators_):
        if not hasattr(estimator, "predict_proba"):
            raise NoRule("The classifiers give no probabilities.")
        made = estimated(builder, (*path, "estimators_", number), "predict_proba", value)
        parts += builder.chosen(made, [1]).parts
    whole = Parts(tuple(parts), None)
    return both(builder, whole) if len(model.estimators_) == 1 else applied(builder, "normalized", whole)


def _bagged(method: str) -> "Whole":
    """The mean of estimators that see some of the columns each."""

    def rule(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
        made = []
        given = numbers(builder, value)
        for number, places in enumerate(model.estimators_features_):
            own = builder.chosen(
                given, list(map(int, places)), builder.values[builder.block(given).register][:, places]
            )
            made.append(_double(builder, estimated(builder, (*path, "estimators_", number), method, own)))
        return _mean(builder, made, np.ones(len(made)))

    return rule


def _target_transformed(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """A regressor of a transformed target, and the inverse transform."""
    made = estimated(builder, (*path, "regressor_"), "predict", value)
    step = model.transformer_
    if type(step).__name__ == "FunctionTransformer":
        return _function(builder, step.inverse_func, made)
    reference = builder.values[builder.block(made).register]
    given = Parts(made.parts, reference)
    if type(step).__name__ == "StandardScaler":
        return calculated(builder, calculated(builder, given, "times", step.scale_), "plus", step.mean_)
    return builder.over_array((*path, "transformer_"), "inverse_transform", given)


def _function(builder: Builder, function: Any, value: Parts) -> Parts:
    if function is None:
        return value
    if function not in UFUNCS:
        raise NoRule("It is a function of its own.")
    return calculated(builder, value, UFUNCS[function])


def _mean(builder: Builder, made: list[Parts], weights: Any) -> Parts:
    """The weighted mean of outputs of one shape."""
    scaled = [
        builder.block(one if weight == 1 else calculated(builder, one, "times", float(weight))).register
        for one, weight in zip(made, weights, strict=True)
    ]
    total = scaled[0] if len(scaled) == 1 else builder.add("add", *scaled)
    return calculated(builder, builder.parts(total), "divided", float(np.sum(weights)))


def _double(builder: Builder, value: Parts) -> Parts:
    """A value in double precision, in which scikit-learn adds what other libraries give in single precision."""
    register = builder.block(value).register
    is_double = builder.values[register].dtype == np.float64
    return value if is_double else applied(builder, "double", value)


Whole = Callable[[Builder, Path, Any, Value], Parts]
_INNER = {
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV"), "best_estimator_"),
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), "estimator_"),
}
_WHOLE: dict[tuple[str, str], Whole] = {
    ("VotingClassifier", "predict_proba"): _voted("predict_proba"),
    ("VotingRegressor", "predict"): _voted("predict"),
    ("StackingClassifier", "predict_proba"): _stacked("predict_proba"),
    ("StackingRegressor", "predict"): _stacked("predict"),
    ("CalibratedClassifierCV", "predict_proba"): _calibrated,
    ("OneVsRestClassifier", "predict_proba"): _each_class,
    ("BaggingClassifier", "predict_proba"): _bagged("predict_proba"),
    ("BaggingRegressor", "predict"): _bagged("predict"),
    ("TransformedTargetRegressor", "predict"): _target_transformed,
}
