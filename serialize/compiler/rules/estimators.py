"""The rules of estimators that calculate their outputs themselves: linear models, naive Bayes and perceptrons."""

from collections.abc import Callable
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import applied, both, calculated, product
from serialize.compiler.values import NoRule, Parts


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
        return both(builder, calculated(builder, scores, "expit"))
    return applied(builder, "softmax", scores)


def _one_against_rest(builder: Builder, model: Any, value: Parts) -> Parts:
    """One logistic regression for each class; their probabilities are scaled to sum to one."""
    proba = calculated(builder, _linear(builder, model, value), "expit")
    return both(builder, proba) if proba.width == 1 else applied(builder, "normalized", proba)


_ACTIVATIONS = {"identity": None, "relu": "relu", "tanh": "tanh", "logistic": "expit", "softmax": "softmax"}


def _perceptron(builder: Builder, model: Any, value: Parts) -> Parts:
    """Layers of weights with an activation function after each."""
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    for number, (weights, intercept) in enumerate(layers, 1):
        value = product(builder, value, weights, intercept)
        activation = _ACTIVATIONS[model.activation if number < len(layers) else model.out_activation_]
        value = value if activation is None else applied(builder, activation, value)
    return both(builder, value) if model.out_activation_ == "logistic" and value.width == 1 else value


def _gaussian_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    """The joint log likelihood as sums of squares, whose softmax are the probabilities."""
    mean, variance = model.theta_, model.var_
    block = builder.block(value).register
    constant = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * variance).sum(axis=1)
    scores = builder.add("gaussians", block, mean=mean, variance=variance, constant=constant)
    return applied(builder, "softmax", builder.parts(scores))


def _bernoulli_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    absent = np.log(1.0 - np.exp(model.feature_log_prob_))
    if model.binarize is not None:
        value = calculated(builder, value, "above", model.binarize)
    intercept = model.class_log_prior_ + absent.sum(axis=1)
    return applied(builder, "softmax", product(builder, value, (model.feature_log_prob_ - absent).T, intercept))


def _multinomial_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    scores = product(builder, value, model.feature_log_prob_.T, model.class_log_prior_)
    return applied(builder, "softmax", scores)


def _complement_bayes(builder: Builder, model: Any, value: Parts) -> Parts:
    prior = model.class_log_prior_ if len(model.classes_) == 1 else None
    return applied(builder, "softmax", product(builder, value, model.feature_log_prob_.T, prior))


Rule = Callable[[Builder, Any, Parts], Parts]
_LINEAR = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "Lars"),
    *("ElasticNet", "ElasticNetCV", "LarsCV", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "LinearSVR"),
    *("BayesianRidge", "ARDRegression", "HuberRegressor", "SGDRegressor", "TheilSenRegressor", "QuantileRegressor"),
)
_DECIDING = (
    *("LogisticRegression", "LogisticRegressionCV", "LinearSVC", "SGDClassifier", "RidgeClassifier", "Perceptron"),
    "LinearDiscriminantAnalysis",
)
RULES: dict[tuple[str, str], Rule] = {
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
