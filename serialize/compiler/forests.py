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


def forest(model: Any, source: EstimatorInput) -> str:
    """The mean of the trees, or one tree. For two classes only the positive one is summed; the other is 1 minus it."""
    graph, task = source.context.graph, source.context.task
    trees = getattr(model, "estimators_", [model])
    columns = range(len(task.classes)) if task.kind == "multiclass" else [0]
    if task.kind == "binary":
        columns = [task.positive_index]
    grown = [
        (of_tree(tree.tree_, tree.tree_.value[:, 0, column]), target)
        for tree in trees
        for target, column in enumerate(columns)
    ]
    matrix = source.matrix(demands_of(model, single=True))
    mean = graph.add("Div", _summed(matrix, grown, len(columns)), graph.constant(float(len(trees))))
    return matrix.refusing(both(graph, mean, first=task.positive_index == 0) if task.kind == "binary" else mean)


def boosted(model: Any, source: EstimatorInput) -> str:
    """Gradient boosting; its trees use single-precision numbers."""
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
    return _boosting_outputs(model, source, demands_of(model, single=True), grown, start)


def histogram_boosted(model: Any, source: EstimatorInput) -> str:
    """Histogram gradient boosting; its trees use double-precision numbers and accept nulls. The model may contain an
    encoder of categories, which is compiled as one more step."""
    grown = [(of_histogram_tree(tree), target) for stage in model._predictors for target, tree in enumerate(stage)]
    demands = Demands(refuses_null=False, refuses_infinity=False, single=False)
    return _boosting_outputs(model, _encoded(model, source), demands, grown, model._baseline_prediction)


def _encoded(model: Any, source: EstimatorInput) -> EstimatorInput:
    encoder = model._preprocessor
    if encoder is None:
        return source
    chosen = encoder._transformer_to_input_indices
    categories, numbers = ([source.features[index] for index in chosen[name]] for name in ("encoder", "numerical"))
    features = transformed(encoder.named_transformers_["encoder"], categories) + numbers
    return replace(source, features=features, run=lambda rows: encoder.transform(source.run(rows)))


def _boosting_outputs(
    model: Any, source: EstimatorInput, demands: Demands, grown: Sequence[tuple[Tree, int]], start: Any
) -> str:
    """Probabilities or values from the sum of boosted trees and the value that the boosting starts from."""
    graph, matrix = source.context.graph, source.matrix(demands)
    first = np.asarray(start, dtype=np.float64).reshape(1, -1)
    raw = graph.add("Add", _summed(matrix, grown, first.shape[1]), graph.constant(first))
    match source.context.task.kind:
        case "binary":
            return matrix.refusing(both(graph, graph.add("Sigmoid", raw)))
        case "multiclass":
            return matrix.refusing(graph.add("Softmax", raw, axis=1))
        case "regression":
            return matrix.refusing(unlinked(graph, type(model._loss.link).__name__, raw))


def _summed(matrix: Matrix, grown: Sequence[tuple[Tree, int]], targets: int) -> str:
    X, column_of = matrix.joined()
    return matrix.graph.trees(X, ensemble(grown, targets, column_of))
