"""Estimators that multiply by weights: linear models, logistic regressions and perceptrons."""

from typing import Any

import numpy as np

from serialize.compiler.features import NoCompiledForm, demands_of
from serialize.compiler.graph import activated, both, expit, normalized, unlinked
from serialize.compiler.matrix import EstimatorInput, Matrix


def scored(model: Any, source: EstimatorInput) -> str:
    """The scores of a linear model: values of shape (n, 1), or a decision function of shape (n, 1) or (n, c)."""
    matrix = source.matrix(demands_of(model))
    return matrix.refusing(_product(matrix, model))


def generalized(model: Any, source: EstimatorInput) -> str:
    """A generalized linear model, with its link."""
    return unlinked(source.context.graph, type(model._base_loss.link).__name__, scored(model, source))


def logistic(model: Any, source: EstimatorInput) -> str:
    """A logistic regression; a multinomial one for several classes."""
    graph, matrix = source.context.graph, source.matrix(demands_of(model))
    scores = _product(matrix, model)
    if source.context.task.kind == "binary":
        return matrix.refusing(both(graph, graph.add("Sigmoid", scores)))
    return matrix.refusing(graph.add("Softmax", scores, axis=1))


def one_against_rest(model: Any, source: EstimatorInput) -> str:
    """One logistic regression per class; their probabilities are scaled to sum to one."""
    if model.loss != "log_loss":
        raise NoCompiledForm(f"{type(model).__name__} with loss {model.loss!r} has no compiled form.")
    graph, task = source.context.graph, source.context.task
    if task.kind == "binary":
        return logistic(model, source)
    matrix = source.matrix(demands_of(model))
    return matrix.refusing(normalized(graph, expit(graph, _product(matrix, model)), len(task.classes)))


def perceptron(model: Any, source: EstimatorInput) -> str:
    """Layers of weights with an activation function after each."""
    graph, matrix = source.context.graph, source.matrix(demands_of(model))
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    signal = matrix.times(*layers[0])
    for weights, intercept in layers[1:]:
        signal = activated(graph, model.activation, signal)
        signal = graph.add("Gemm", signal, graph.constant(weights), graph.constant(intercept))
    signal = activated(graph, model.out_activation_, signal)
    return matrix.refusing(both(graph, signal) if source.context.task.kind == "binary" else signal)


def _product(matrix: Matrix, model: Any) -> str:
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)).T
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64).reshape(-1), weights.shape[1:])
    return matrix.times(weights, intercept)
