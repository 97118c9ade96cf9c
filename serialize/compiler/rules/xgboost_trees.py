"""The rule of XGBoost. It rounds its input to single precision and adds its trees in single precision, so the
instructions do too; the outputs are equal to the last bit."""

import json
import math
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.ensemble import Tree
from serialize.compiler.rules.tree_sums import ACCEPTS_ALL, boosting_outputs, summed
from serialize.compiler.rules.with_categories import with_categories
from serialize.compiler.runtime.native import Path
from serialize.compiler.runtime.single import log_single
from serialize.compiler.values import Array, NoRule, Parts, Value

_LINKS = {
    **dict.fromkeys(("binary:logistic", "reg:logistic"), "sigmoid"),
    "multi:softprob": "softmax",
    **dict.fromkeys(("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"), "identity"),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie"), "exp"),
}


def of_xgboost(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """Boosted trees up to the best iteration. The value that the boosting starts from is the first tree."""
    booster = model.get_booster()
    learner = json.loads(booster.save_raw(raw_format="json"))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise NoRule("Its booster is not gbtree.")
    link = _LINKS.get(learner["objective"]["name"], "none")
    forest = learner["gradient_booster"]["model"]
    last = forest["iteration_indptr"][model._get_iteration_range(None)[1] or -1]
    start = _start(learner["learner_model_param"], link)
    grown = [(_constant(base), target) for target, base in enumerate(start)]
    grown += [
        (_of_tree(tree), target)
        for tree, target in zip(forest["trees"][:last], forest["tree_info"][:last], strict=True)
    ]
    given = _with_missing(builder, model, value)
    raw = summed(builder, given, ACCEPTS_ALL, grown, len(start), single=True)
    return boosting_outputs(builder, raw, link, both=learner["objective"]["name"] == "binary:logistic", single=True)


def _with_missing(builder: Builder, model: Any, value: Value) -> Parts:
    """The input with NaN for the numbers that count as missing: `missing`, in single precision, and the zeros that a
    sparse matrix leaves out."""
    given = with_categories(builder, value)
    register = builder.block(given).register
    if hasattr(value.reference, "toarray"):
        register = builder.add("equal_is_null", register, number=0.0)
    if not math.isnan(model.missing):
        register = builder.add("equal_is_null", builder.add("single", register), number=float(model.missing))
    return builder.parts(register)


def _start(parameters: dict[str, str], link: str) -> Array:
    """What the sums start from, of shape (targets,): a probability, or a mean, before the link."""
    base = np.array(json.loads(parameters["base_score"]), dtype=np.float32).reshape(-1)
    base = np.broadcast_to(base, max(int(parameters["num_class"]), len(base)))
    one = np.float32(1.0)
    match link:
        case "sigmoid":
            return -log_single(one / base - one)
        case "exp":
            return log_single(base)
    return base


def _constant(value: Any) -> Tree:
    leaf = np.full(1, -1)
    return Tree(leaf, leaf, np.zeros(1, int), np.zeros(1), np.zeros(1, int), np.full(1, value), below=True)


def _of_tree(tree: dict[str, Any]) -> Tree:
    """A tree of the JSON. A set of categories goes right there, and left here."""
    names = ("left_children", "right_children", "split_indices", "default_left")
    left, right, feature, null_goes_left = (np.array(tree[name], dtype=np.int64) for name in names)
    value = np.array(tree["split_conditions"], dtype=np.float32)
    members = {}
    starts, sizes = tree["categories_segments"], tree["categories_sizes"]
    for node, start, size in zip(tree["categories_nodes"], starts, sizes, strict=True):
        members[node] = np.array(tree["categories"][start : start + size])
        left[node], right[node] = right[node], left[node]
        null_goes_left[node] = 1 - null_goes_left[node]
    threshold = value.copy()
    threshold[list(members)] = 0.0
    return Tree(left, right, feature, threshold, null_goes_left, value, members, below=True)
