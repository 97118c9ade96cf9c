"""Fitted estimators as graphs that calculate as scikit-learn does, including estimators that contain others."""

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


def convert_estimator(estimator: Any, source: EstimatorInput) -> str:
    """The outputs of a fitted estimator or pipeline: shape (n, n_classes) or (n, 1). Raises NoCompiledForm for an
    estimator or step that cannot be compiled."""
    form: _Form = of_scikit_learn(estimator, _FORMS)
    return form(estimator, source)


def _last_input(pipeline: Any, source: EstimatorInput) -> EstimatorInput:
    """The input of a pipeline's last step."""
    steps = pipeline[:-1]
    if not len(steps):
        return source
    features = transformed(steps, source.features)
    return replace(source, features=features, run=lambda rows: steps.transform(source.run(rows)))


def _voted(voting: Any, source: EstimatorInput) -> str:
    """The weighted mean of several estimators' outputs."""
    weights = np.ones(len(voting.estimators_)) if voting.weights is None else np.array(voting._weights_not_none)
    graph = source.context.graph
    parts = [
        graph.add("Mul", convert_estimator(estimator, source), graph.constant(float(weight)))
        for estimator, weight in zip(voting.estimators_, weights, strict=True)
    ]
    return graph.add("Div", graph.add("Sum", *parts), graph.constant(float(weights.sum())))


def _calibrated(model: Any, source: EstimatorInput) -> str:
    """The mean of calibrated classifiers."""
    graph = source.context.graph
    parts = [_sigmoid_calibrated(part, source) for part in model.calibrated_classifiers_]
    return graph.add("Div", graph.add("Sum", *parts), graph.constant(float(len(parts))))


def _sigmoid_calibrated(part: Any, source: EstimatorInput) -> str:
    """One classifier whose scores are calibrated by a logistic curve per class (Platt scaling)."""
    if part.method != "sigmoid":
        raise NoCompiledForm(f"The calibration {part.method!r} has no compiled form.")
    graph, task = source.context.graph, source.context.task
    slopes, offsets = (np.array([getattr(curve, name) for curve in part.calibrators]) for name in ("a_", "b_"))
    sloped = graph.add("Mul", _decision(part.estimator, source), graph.constant(-slopes))
    proba = expit(graph, graph.add("Add", sloped, graph.constant(-offsets)))
    return both(graph, proba) if task.kind == "binary" else normalized(graph, proba, len(task.classes))


def _decision(classifier: Any, source: EstimatorInput) -> str:
    """The scores that are calibrated: the decision function of a classifier, or else its probabilities."""
    if type(classifier).__name__ == "Pipeline":
        return _decision(classifier[-1], _last_input(classifier, source))
    form: _Form = of_scikit_learn(classifier, _DECISIONS)
    return form(classifier, source)


def _forest_decision(model: Any, source: EstimatorInput) -> str:
    """The probabilities of a forest; for two classes, only that of the second."""
    graph, probas = source.context.graph, forest(model, source)
    if source.context.task.kind == "multiclass":
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
_SEARCHES = ["GridSearchCV", "RandomizedSearchCV"]
_THRESHOLDED = ["FixedThresholdClassifier", "TunedThresholdClassifierCV"]
_DECIDING = ["LogisticRegression", "LogisticRegressionCV", "LinearSVC", "SGDClassifier", "RidgeClassifier"]
_DECISIONS: dict[str, _Form] = {**dict.fromkeys(_DECIDING, scored), **dict.fromkeys(_FORESTS, _forest_decision)}
_FORMS: dict[str, _Form] = {
    "Pipeline": lambda pipeline, source: convert_estimator(pipeline[-1], _last_input(pipeline, source)),
    **dict.fromkeys(_SEARCHES, lambda search, source: convert_estimator(search.best_estimator_, source)),
    **dict.fromkeys(_THRESHOLDED, lambda model, source: convert_estimator(model.estimator_, source)),
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
