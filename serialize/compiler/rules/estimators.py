"""The rules of estimators: a fitted estimator and its input, to its outputs of shape (n, c). The program calls an
estimator without a rule."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated, numbers, product
from serialize.compiler.rules.demands import refusing
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
    rule = _RULES.get((name, method))
    if rule is not None:
        yield lambda: rule(builder, estimator, refusing(builder, estimator, numbers(builder, value)))
    if not isinstance(value, Parts):
        yield lambda: builder.over_array(path, method, numbers(builder, value))
    yield from builder.native(path, method, value)


def _linear(builder: Builder, model: Any, value: Parts) -> Parts:
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)).T
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64).reshape(-1), weights.shape[1:])
    return product(builder, value, weights, intercept)


def _unlinked(builder: Builder, model: Any, value: Parts) -> Parts:
    """A generalized linear model with its link."""
    match type(model._base_loss.link).__name__:
        case "IdentityLink":
            return _linear(builder, model, value)
        case "LogLink":
            return calculated(builder, _linear(builder, model, value), "exp")
    raise NoRule("The link has no rule.")


def _logistic(builder: Builder, model: Any, value: Parts) -> Parts:
    """A logistic regression; a multinomial one for several classes."""
    scores = _linear(builder, model, value)
    if scores.width == 1:
        return _both(builder, calculated(builder, scores, "expit"))
    return _applied(builder, "softmax", scores)


def _one_against_rest(builder: Builder, model: Any, value: Parts) -> Parts:
    """One logistic regression for each class; their probabilities are scaled to sum to one."""
    proba = calculated(builder, _linear(builder, model, value), "expit")
    return _both(builder, proba) if proba.width == 1 else _applied(builder, "normalized", proba)


_ACTIVATIONS = {"identity": None, "relu": "relu", "tanh": "tanh", "logistic": "expit", "softmax": "softmax"}


def _perceptron(builder: Builder, model: Any, value: Parts) -> Parts:
    """Layers of weights with an activation function after each."""
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    for number, (weights, intercept) in enumerate(layers, 1):
        value = product(builder, value, weights, intercept)
        activation = _ACTIVATIONS[model.activation if number < len(layers) else model.out_activation_]
        value = value if activation is None else _applied(builder, activation, value)
    return _both(builder, value) if model.out_activation_ == "logistic" and value.width == 1 else value


def _gaussian_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    """The joint log likelihood as sums of squares, whose softmax are the probabilities."""
    mean, variance = model.theta_, model.var_
    block = builder.block(value).register
    constant = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * variance).sum(axis=1)
    scores = builder.add("gaussians", block, mean=mean, variance=variance, constant=constant)
    return _applied(builder, "softmax", builder.parts(scores))


def _bernoulli_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    absent = np.log(1.0 - np.exp(model.feature_log_prob_))
    if model.binarize is not None:
        value = calculated(builder, value, "above", model.binarize)
    intercept = model.class_log_prior_ + absent.sum(axis=1)
    return _applied(builder, "softmax", product(builder, value, (model.feature_log_prob_ - absent).T, intercept))


def _multinomial_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    scores = product(builder, value, model.feature_log_prob_.T, model.class_log_prior_)
    return _applied(builder, "softmax", scores)


def _complement_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    prior = model.class_log_prior_ if len(model.classes_) == 1 else None
    return _applied(builder, "softmax", product(builder, value, model.feature_log_prob_.T, prior))


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
    return _both(builder, proba) if classes == 2 else _applied(builder, "normalized", proba)


def _isotonic(builder: Builder, curve: Any, value: Parts) -> Parts:
    """A monotone curve: linear between its points, constant beyond them."""
    if curve.out_of_bounds != "clip":
        raise NoRule("The curve is not clipped.")
    return _applied(builder, "interpolate", value, x=curve.X_thresholds_, y=curve.y_thresholds_)


def _each_class(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """One classifier for each class; their probabilities are scaled to sum to one."""
    parts: list[Any] = []
    for number, estimator in enumerate(model.estimators_):
        if not hasattr(estimator, "predict_proba"):
            raise NoRule("The classifiers give no probabilities.")
        made = estimated(builder, (*path, "estimators_", number), "predict_proba", value)
        parts += builder.chosen(made, [1]).parts
    whole = Parts(tuple(parts), None)
    return _both(builder, whole) if len(model.estimators_) == 1 else _applied(builder, "normalized", whole)


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
    return value if is_double else _applied(builder, "double", value)


def _both(builder: Builder, proba: Parts) -> Parts:
    return _applied(builder, "both", proba)


def _applied(builder: Builder, name: str, value: Parts, **parameters: Any) -> Parts:
    """A block after an operation on whole rows."""
    return builder.parts(builder.add(name, builder.block(value).register, **parameters))


Rule = Callable[[Builder, Any, Parts], Parts]
Whole = Callable[[Builder, Path, Any, Value], Parts]
_INNER = {
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV"), "best_estimator_"),
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), "estimator_"),
}
_LINEAR = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "Lars"),
    *("ElasticNet", "ElasticNetCV", "LarsCV", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "LinearSVR"),
    *("BayesianRidge", "ARDRegression", "HuberRegressor", "SGDRegressor", "TheilSenRegressor", "QuantileRegressor"),
)
_DECIDING = (
    *("LogisticRegression", "LogisticRegressionCV", "LinearSVC", "SGDClassifier", "RidgeClassifier", "Perceptron"),
    "LinearDiscriminantAnalysis",
)
_RULES: dict[tuple[str, str], Rule] = {
    **{(name, "predict"): _linear for name in _LINEAR},
    **{(name, "decision_function"): _linear for name in _DECIDING},
    **{(name, "predict"): _unlinked for name in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")},
    **{
        (name, "predict_proba"): _logistic
        for name in ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")
    },
    ("SGDClassifier", "predict_proba"): _one_against_rest,
    ("MLPClassifier", "predict_proba"): _perceptron,
    ("MLPRegressor", "predict"): _perceptron,
    ("GaussianNB", "predict_proba"): _gaussian_bayes,
    ("BernoulliNB", "predict_proba"): _bernoulli_bayes,
    ("MultinomialNB", "predict_proba"): _multinomial_bayes,
    ("ComplementNB", "predict_proba"): _complement_bayes,
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
