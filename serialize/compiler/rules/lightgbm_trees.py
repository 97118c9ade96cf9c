"""The rule of LightGBM. Its trees use double-precision numbers and accept nulls."""

from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated
from serialize.compiler.rules.ensemble import Tree
from serialize.compiler.rules.tree_sums import ACCEPTS_ALL, boosting_outputs, summed
from serialize.compiler.rules.with_categories import with_categories
from serialize.compiler.runtime.native import Path
from serialize.compiler.values import Array, NoRule, Parts, Value

_LINKS = {
    **dict.fromkeys(("binary", "cross_entropy", "multiclassova"), "sigmoid"),
    "multiclass": "softmax",
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile"), "identity"),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp"),
}


def of_lightgbm(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """The outputs of boosted trees. If the objective has no rule, the booster is called, without its wrapper."""
    objective, *options = str(model.booster_.dump_model(num_iteration=1).get("objective") or "none").split()
    others = [option for option in options if not option.startswith(("num_class:", "sigmoid:"))]
    is_probability = hasattr(model, "classes_")
    if objective not in _LINKS or others or _is_linear(model):
        made = builder.over_array((*path, "booster_"), "predict", with_categories(builder, value))
        return boosting_outputs(builder, made, "identity", both=is_probability and made.width == 1)
    raw = lightgbm_scores(builder, path, model, value)
    scale = [float(option.partition(":")[2]) for option in options if option.startswith("sigmoid:")]
    if scale and scale[0] != 1.0:
        raw = calculated(builder, raw, "times", scale[0])
    return boosting_outputs(builder, raw, _LINKS[objective], both=is_probability and raw.width == 1)


def lightgbm_scores(builder: Builder, _: Path, model: Any, value: Value) -> Parts:
    """The sums of the trees up to the best iteration."""
    if _is_linear(model):
        raise NoRule("Its leaves are linear models.")
    content = model.booster_.dump_model()
    targets = content["num_tree_per_iteration"]
    trees = [_Nodes(tree["tree_structure"]) for tree in content["tree_info"]]
    given = with_categories(builder, value)
    zeros = sorted(set().union(*(tree.zeros for tree in trees)))
    if zeros:
        given = builder.parts(builder.add("tiny_is_null", builder.block(given).register, places=zeros))
    grown = [(tree.tree(), place % targets) for place, tree in enumerate(trees)]
    raw = summed(builder, given, ACCEPTS_ALL, grown, targets)
    return calculated(builder, raw, "divided", float(len(trees) // targets)) if content["average_output"] else raw


def _is_linear(model: Any) -> bool:
    return bool(model.booster_.params.get("linear_tree"))


class _Nodes:
    """The nodes of a tree, and the columns of which a zero counts as null."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.zeros: set[int] = set()
        self._nodes: list[tuple[int, int, int, float, bool, float]] = []
        self._members: dict[int, Array] = {}
        waiting = [root]
        for number, node in enumerate(waiting):  # the children are appended while it runs
            if "split_feature" not in node:
                self._nodes.append((-1, -1, 0, 0.0, False, node["leaf_value"]))
                continue
            threshold, null_goes_left = self._split(number, node)
            children = len(waiting), len(waiting) + 1
            self._nodes.append((*children, node["split_feature"], threshold, null_goes_left, 0.0))
            waiting += [node["left_child"], node["right_child"]]

    def tree(self) -> Tree:
        """The tree."""
        left, right, feature, threshold, null_goes_left, value = map(np.array, zip(*self._nodes, strict=True))
        return Tree(left, right, feature, threshold, null_goes_left, value, self._members)

    def _split(self, number: int, node: dict[str, Any]) -> tuple[float, bool]:
        """The threshold of a node, and whether a null goes left."""
        if node["decision_type"] == "==":
            self._members[number] = np.array(list(map(int, node["threshold"].split("||"))))
            return 0.0, False
        if node["missing_type"] == "None":  # a null counts as zero
            return node["threshold"], node["threshold"] >= 0
        if node["missing_type"] == "Zero":
            self.zeros.add(node["split_feature"])
        return node["threshold"], node["default_left"]
