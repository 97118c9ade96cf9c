"""The rules of estimators that are trees: their sums are one ensemble of ONNX Runtime."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated, numbers
from serialize.compiler.rules.catboost_trees import of_catboost
from serialize.compiler.rules.demands import demands_of
from serialize.compiler.rules.ensemble import of_histogram_tree, of_tree
from serialize.compiler.rules.lightgbm_trees import lightgbm_scores, of_lightgbm
from serialize.compiler.rules.steps import transformed
from serialize.compiler.rules.tree_sums import ACCEPTS_ALL, TreeRule, boosting_outputs, summed
from serialize.compiler.rules.xgboost_trees import of_xgboost
from serialize.compiler.runtime.native import Path
from serialize.compiler.values import NoRule, Parts, Value


def _forest(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """The mean of the trees, or one tree. For two classes only the first one is summed; the other is 1 minus it."""
    given = numbers(builder, value)
    trees = getattr(model, "estimators_", [model])
    width = trees[0].tree_.value.shape[2]
    columns = [1] if width == 2 else range(width)
    grown = [
        (of_tree(tree.tree_, tree.tree_.value[:, 0, column]), target)
        for tree in trees
        for target, column in enumerate(columns)
    ]
    total = summed(builder, given, demands_of(model, single=True), grown, len(columns))
    return boosting_outputs(
        builder, calculated(builder, total, "divided", float(len(trees))), "identity", both=width == 2
    )


def _boosted_scores(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """The scores of gradient boosting; its trees use single-precision numbers."""
    if model.init_ != "zero" and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NoRule("It starts from another model.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))
    grown = [
        (of_tree(tree.tree_, model.learning_rate * tree.tree_.value[:, 0, 0]), target)
        for stage in model.estimators_
        for target, tree in enumerate(stage)
    ]
    raw = summed(builder, numbers(builder, value), demands_of(model, single=True), grown, len(model.estimators_[0]))
    return calculated(builder, raw, "plus", np.ravel(start))


def _histogram_scores(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """The scores of histogram gradient boosting; its trees use double-precision numbers and accept nulls. The model may
    contain an encoder of categories, which is one more step."""
    if model._preprocessor is not None:
        value = transformed(builder, (*path, "_preprocessor"), value)
    grown = [(of_histogram_tree(tree), target) for stage in model._predictors for target, tree in enumerate(stage)]
    start = np.ravel(model._baseline_prediction)
    raw = summed(builder, numbers(builder, value), ACCEPTS_ALL, grown, len(start))
    return calculated(builder, raw, "plus", start)


_LINKS = {
    "IdentityLink": "identity",
    "LogLink": "exp",
    **dict.fromkeys(("LogitLink", "HalfLogitLink"), "sigmoid"),
    "MultinomialLogit": "softmax",
}


def _linked(scores: TreeRule) -> TreeRule:
    """The outputs of gradient boosting of scikit-learn, from its scores by the link of its loss."""

    def rule(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
        raw, link = scores(builder, path, model, value), type(model._loss.link).__name__
        if link == "HalfLogitLink":
            raw = calculated(builder, raw, "times", 2.0)
        return boosting_outputs(builder, raw, _LINKS.get(link), both=hasattr(model, "classes_") and raw.width == 1)

    return rule


def _bagged(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """The mean of trees that see some of the columns each. A column that no tree sees may have any value."""
    trees = _trees(model)
    used = np.unique(np.concatenate(model.estimators_features_))
    width = trees[0].tree_.value.shape[2]
    first = 1 if width == 2 else 0
    grown = []
    for tree, places in zip(trees, model.estimators_features_, strict=True):
        own = np.searchsorted(used, places)
        for target in range(width - first):
            split = of_tree(tree.tree_, tree.tree_.value[:, 0, first + target])
            grown.append((replace(split, feature=own[np.maximum(split.feature, 0)]), target))
    given = builder.chosen(numbers(builder, value), used.tolist())
    total = summed(builder, given, demands_of(trees[0], single=True), grown, width - first)
    mean = calculated(builder, total, "divided", float(len(trees)))
    return boosting_outputs(builder, mean, "identity", both=width == 2)


def _adaptive_scores(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """The scores of AdaBoost: each tree votes with its weight for its class, and against the others. Two classes have
    one score."""
    classes = len(model.classes_)
    first = 1 if classes == 2 else 0
    weights = np.asarray(model.estimator_weights_, dtype=np.float64)
    grown = []
    for tree, weight in zip(_trees(model), weights, strict=False):
        winner = tree.classes_.take(tree.tree_.value[:, 0, :].argmax(axis=1))
        for target, label in enumerate(model.classes_[first:]):
            votes = np.where(winner == label, weight, -weight / (classes - 1))
            grown.append((of_tree(tree.tree_, votes), target))
    total = summed(builder, numbers(builder, value), demands_of(model, single=True), grown, classes - first)
    scores = calculated(builder, total, "divided", float(weights.sum()))
    return calculated(builder, scores, "times", 2.0) if classes == 2 else scores


def _adaptive(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """AdaBoost for a classification."""
    scores = _adaptive_scores(builder, path, model, value)
    if scores.width > 1:
        return boosting_outputs(builder, calculated(builder, scores, "divided", float(scores.width - 1)), "softmax")
    sides = [calculated(builder, scores, "times", sign * 0.5).parts for sign in (-1, 1)]
    return boosting_outputs(builder, Parts((*sides[0], *sides[1]), None), "softmax")


def _adaptive_median(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """AdaBoost for a regression: the median of the trees by their weights."""
    trees = _trees(model)
    grown = [(of_tree(tree.tree_, tree.tree_.value[:, 0, 0]), target) for target, tree in enumerate(trees)]
    each = summed(builder, numbers(builder, value), demands_of(model, single=True), grown, len(trees))
    weights = np.array(model.estimator_weights_[: len(trees)], dtype=np.float64)
    return builder.parts(builder.add("weighted_median", builder.block(each).register, weights=weights))


def _trees(model: Any) -> Sequence[Any]:
    """The estimators of an ensemble. Raises NoRule if one is no decision tree."""
    if not all(hasattr(each, "tree_") for each in model.estimators_):
        raise NoRule("Its estimators are no trees.")
    trees: Sequence[Any] = model.estimators_
    return trees


_FORESTS = ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")
TREES: dict[tuple[str, str], TreeRule] = {
    **{(f"{name}Classifier", "predict_proba"): _forest for name in _FORESTS},
    **{(f"{name}Regressor", "predict"): _forest for name in _FORESTS},
    ("GradientBoostingClassifier", "decision_function"): _boosted_scores,
    ("GradientBoostingClassifier", "predict_proba"): _linked(_boosted_scores),
    ("GradientBoostingRegressor", "predict"): _linked(_boosted_scores),
    ("HistGradientBoostingClassifier", "decision_function"): _histogram_scores,
    ("HistGradientBoostingClassifier", "predict_proba"): _linked(_histogram_scores),
    ("HistGradientBoostingRegressor", "predict"): _linked(_histogram_scores),
    ("AdaBoostClassifier", "decision_function"): _adaptive_scores,
    ("AdaBoostClassifier", "predict_proba"): _adaptive,
    ("AdaBoostRegressor", "predict"): _adaptive_median,
    ("BaggingClassifier", "predict_proba"): _bagged,
    ("BaggingRegressor", "predict"): _bagged,
    **{(f"{name}Classifier", "predict_proba"): of_xgboost for name in ("XGB", "XGBRF")},
    **{(f"{name}Regressor", "predict"): of_xgboost for name in ("XGB", "XGBRF")},
    ("LGBMClassifier", "decision_function"): lightgbm_scores,
    ("LGBMClassifier", "predict_proba"): of_lightgbm,
    ("LGBMRegressor", "predict"): of_lightgbm,
    ("CatBoostClassifier", "predict_proba"): of_catboost,
    ("CatBoostRegressor", "predict"): of_catboost,
}
