"""Estimators that are trees: decision trees and forests, gradient boosting, histogram gradient boosting."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from serialize.compiler.features import Demands, NoCompiledForm, demands_of
from serialize.compiler.graph import both, unlinked
from serialize.compiler.matrix import EstimatorInput, Matrix
from serialize.compiler.steps import transformed
from serialize.compiler.trees import Tree, ensemble, of_histogram_tree, of_tree
from serialize.task import Task


def forest(model: Any, given: EstimatorInput) -> str:
    """The mean of the trees, or one tree. Of two classes the positive one is summed, and the other is what remains."""
    graph, task = given.site.graph, given.site.task
    trees = getattr(model, "estimators_", [model])
    columns = range(len(task.classes)) if task.kind == "multiclass" else [_summed_column(task)]
    grown = [
        (of_tree(tree.tree_, tree.tree_.value[:, 0, column]), target)
        for tree in trees
        for target, column in enumerate(columns)
    ]
    matrix = given.matrix(demands_of(model, single=True))
    mean = graph.add("Div", _summed(matrix, grown, len(columns)), graph.constant(float(len(trees))))
    if task.kind != "binary":
        return matrix.refusing(mean)
    return matrix.refusing(both(graph, mean, first=task.positive_index == 0))


def _summed_column(task: Task) -> int:
    return task.positive_index if task.kind == "binary" else 0


def boosted(model: Any, given: EstimatorInput) -> str:
    """Gradient boosting, whose trees take numbers in single precision."""
    if model.init_ != "zero" and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NoCompiledForm(f"{type(model).__name__} that starts from another model has no compiled form.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))
    grown = [
        (of_tree(tree.tree_, model.learning_rate * tree.tree_.value[:, 0, 0]), target)
        for stage in model.estimators_
        for target, tree in enumerate(stage)
    ]
    matrix = given.matrix(demands_of(model, single=True))
    return matrix.refusing(_answered(model, given, _raised(matrix, grown, start)))


def histogram_boosted(model: Any, given: EstimatorInput) -> str:
    """Histogram gradient boosting, whose trees take numbers in double precision and nulls, and which may have an
    encoder of categories of its own, one more step."""
    grown = [(of_histogram_tree(tree), target) for stage in model._predictors for target, tree in enumerate(stage)]
    matrix = _encoded(model, given).matrix(Demands(refuses_null=False, refuses_infinity=False, single=False))
    return _answered(model, given, _raised(matrix, grown, model._baseline_prediction))


def _encoded(model: Any, given: EstimatorInput) -> EstimatorInput:
    encoder = model._preprocessor
    if encoder is None:
        return given
    chosen = encoder._transformer_to_input_indices
    categories = [given.features[index] for index in chosen["encoder"]]
    numbers = [given.features[index] for index in chosen["numerical"]]
    features = transformed(encoder.named_transformers_["encoder"], categories) + numbers
    return replace(given, features=features, run=lambda rows: encoder.transform(given.run(rows)))


def _raised(matrix: Matrix, grown: Sequence[tuple[Tree, int]], start: Any) -> str:
    """The leaves of boosted trees, summed on top of where they start."""
    first = np.asarray(start, dtype=np.float64).reshape(1, -1)
    return matrix.graph.add("Add", _summed(matrix, grown, first.shape[1]), matrix.graph.constant(first))


def _summed(matrix: Matrix, grown: Sequence[tuple[Tree, int]], targets: int) -> str:
    X, column_of = matrix.joined()
    return matrix.graph.trees(X, ensemble(grown, targets, column_of))


def _answered(model: Any, given: EstimatorInput, raw: str) -> str:
    """Probabilities or values from the sum of boosted trees."""
    graph = given.site.graph
    match given.site.task.kind:
        case "binary":
            return both(graph, graph.add("Sigmoid", raw))
        case "multiclass":
            return graph.add("Softmax", raw, axis=1)
        case "regression":
            return unlinked(graph, type(model._loss.link).__name__, raw)
