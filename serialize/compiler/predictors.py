"""Fitted estimators as graphs, each calculated as scikit-learn calculates it, and those that are made of others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from serialize.compiler.features import NoCompiledForm, of_scikit_learn
from serialize.compiler.forests import boosted, forest, histogram_boosted
from serialize.compiler.graph import both, expit, normalized
from serialize.compiler.linear import generalized, logistic, one_against_rest, perceptron, scored
from serialize.compiler.matrix import EstimatorInput
from serialize.compiler.steps import transformed


def convert_estimator(estimator: Any, given: EstimatorInput) -> str:
    """The outputs of a fitted estimator or pipeline: shape (n, n_classes) or (n, 1). Raises NoCompiledForm for what
    has none."""
    form: _Form = of_scikit_learn(estimator, _FORMS)
    return form(estimator, given)


def _piped(pipeline: Any, given: EstimatorInput) -> str:
    return convert_estimator(pipeline[-1], _prepared(pipeline, given))


def _prepared(pipeline: Any, given: EstimatorInput) -> EstimatorInput:
    """What a pipeline's last step is given."""
    steps, features = pipeline[:-1], given.features
    for _, step in steps.steps:
        features = transformed(step, features)
    return replace(given, features=features, run=lambda rows: steps.transform(given.run(rows))) if len(steps) else given


def _searched(search: Any, given: EstimatorInput) -> str:
    return convert_estimator(search.best_estimator_, given)


def _inner(model: Any, given: EstimatorInput) -> str:
    return convert_estimator(model.estimator_, given)


def _voted(voting: Any, given: EstimatorInput) -> str:
    """The weighted mean of several estimators' outputs."""
    weights = np.ones(len(voting.estimators_)) if voting.weights is None else np.array(voting._weights_not_none)
    graph = given.site.graph
    parts = [
        graph.add("Mul", convert_estimator(estimator, given), graph.constant(float(weight)))
        for estimator, weight in zip(voting.estimators_, weights, strict=True)
    ]
    return graph.add("Div", graph.add("Sum", *parts), graph.constant(float(weights.sum())))


def _calibrated(model: Any, given: EstimatorInput) -> str:
    """The mean of calibrated classifiers."""
    graph = given.site.graph
    parts = [_bent(part, given) for part in model.calibrated_classifiers_]
    return graph.add("Div", graph.add("Sum", *parts), graph.constant(float(len(parts))))


def _bent(part: Any, given: EstimatorInput) -> str:
    """Logistic curves over the scores of a classifier."""
    if part.method != "sigmoid":
        raise NoCompiledForm(f"The calibration {part.method!r} has no compiled form.")
    graph, task = given.site.graph, given.site.task
    slopes, offsets = (np.array([getattr(curve, name) for curve in part.calibrators]) for name in ("a_", "b_"))
    sloped = graph.add("Mul", _decided(part.estimator, given), graph.constant(-slopes))
    proba = expit(graph, graph.add("Add", sloped, graph.constant(-offsets)))
    return both(graph, proba) if task.kind == "binary" else normalized(graph, proba, len(task.classes))


def _decided(classifier: Any, given: EstimatorInput) -> str:
    """What a classifier is calibrated by: its decision function, or else probabilities."""
    if type(classifier).__name__ == "Pipeline":
        return _decided(classifier[-1], _prepared(classifier, given))
    form: _Form = of_scikit_learn(classifier, _DECISIONS)
    return form(classifier, given)


def _of_second(model: Any, given: EstimatorInput) -> str:
    """A forest's probabilities, of two classes that of the second."""
    graph, probas = given.site.graph, forest(model, given)
    if given.site.task.kind == "multiclass":
        return probas
    return graph.add("Gather", probas, graph.constant([1], np.int64), axis=1)


_Form = Callable[[Any, EstimatorInput], str]
_LINEAR = [
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "Lars"),
    *("ElasticNet", "ElasticNetCV", "LarsCV", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "LinearSVR"),
    *("BayesianRidge", "ARDRegression", "HuberRegressor", "SGDRegressor", "TheilSenRegressor", "QuantileRegressor"),
]
_FORESTS = [
    *("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"),
    *("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"),
]
_DECIDING = ["LogisticRegression", "LogisticRegressionCV", "LinearSVC", "SGDClassifier", "RidgeClassifier"]
_DECISIONS: dict[str, _Form] = {**dict.fromkeys(_DECIDING, scored), **dict.fromkeys(_FORESTS, _of_second)}
_FORMS: dict[str, _Form] = {
    "Pipeline": _piped,
    **dict.fromkeys(["GridSearchCV", "RandomizedSearchCV"], _searched),
    **dict.fromkeys(["FixedThresholdClassifier", "TunedThresholdClassifierCV"], _inner),
    **dict.fromkeys(["VotingClassifier", "VotingRegressor"], _voted),
    "CalibratedClassifierCV": _calibrated,
    **dict.fromkeys(_LINEAR, scored),
    **dict.fromkeys(["PoissonRegressor", "GammaRegressor", "TweedieRegressor"], generalized),
    **dict.fromkeys(["LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"], logistic),
    "SGDClassifier": one_against_rest,
    **dict.fromkeys(["MLPClassifier", "MLPRegressor"], perceptron),
    **dict.fromkeys(_FORESTS, forest),
    **dict.fromkeys(["GradientBoostingClassifier", "GradientBoostingRegressor"], boosted),
    **dict.fromkeys(["HistGradientBoostingClassifier", "HistGradientBoostingRegressor"], histogram_boosted),
}
