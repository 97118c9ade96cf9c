"""The rule of CatBoost for columns of numbers. It rounds its input to single precision; its trees are oblivious: all
nodes of a level have the same split."""

import json
import tempfile
from pathlib import Path as File
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated, numbers
from serialize.compiler.rules.demands import Demands
from serialize.compiler.rules.ensemble import Tree
from serialize.compiler.rules.tree_sums import boosting_outputs, summed
from serialize.compiler.runtime.native import Path
from serialize.compiler.values import Array, Parts, Raw, Value

_LINKS = {
    **dict.fromkeys(("Logloss", "CrossEntropy", "MultiClassOneVsAll"), "sigmoid"),
    "MultiClass": "softmax",
    **dict.fromkeys(("RMSE", "MAE", "Quantile", "Huber"), "identity"),
    **dict.fromkeys(("Poisson", "Tweedie"), "exp"),
}


def of_catboost(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """Boosted trees; the trees of the best iteration are the only ones that the model keeps. A model with categories of
    its own is called, over objects."""
    if model.get_cat_feature_indices() and isinstance(value, Raw) and not value.links:
        method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
        columns = builder.parts(builder.add("objects", *(builder.column(column.name) for column in value.columns)))
        return builder.over_array(path, method, columns)
    content = _content(model)
    scale, bias = content["scale_and_bias"]
    features = content["features_info"]["float_features"]
    grown = [
        (tree, target)
        for each in content["oblivious_trees"]
        for target, tree in enumerate(_of_tree(each, features, len(bias)))
    ]
    demands = Demands(refuses_null=False, refuses_infinity=False, single=True)
    raw = summed(builder, numbers(builder, value), demands, grown, len(bias))
    if scale != 1:
        raw = calculated(builder, raw, "times", float(scale))
    raw = calculated(builder, raw, "plus", np.array(bias, dtype=np.float64))
    link = _LINKS.get(content["model_info"]["params"]["loss_function"]["type"])
    return boosting_outputs(builder, raw, link, both=link == "sigmoid" and len(bias) == 1)


def _content(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = File(folder) / "model.json"
        model.save_model(str(file), format="json")
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _of_tree(tree: dict[str, Any], features: list[dict[str, Any]], targets: int) -> list[Tree]:
    """The same tree for each target. Split i of d decides bit i of the number of the leaf, so the last one is the root:
    node i has the children 2 i + 1 and 2 i + 2, and the leaves come last."""
    splits = tree.get("splits") or []
    inner = 2 ** len(splits) - 1
    nodes = np.arange(inner)
    left, right = (np.concatenate((2 * nodes + side, np.full(inner + 1, -1))) for side in (1, 2))
    levels = splits[::-1]
    own = [features[split["float_feature_index"]] for split in levels]
    values = np.array(tree["leaf_values"]).reshape(-1, targets)
    return [
        Tree(
            left,
            right,
            _by_node([each["flat_feature_index"] for each in own], np.int64),
            _by_node([split["border"] for split in levels], np.float32).astype(np.float64),
            _by_node([each["nan_value_treatment"] != "AsTrue" for each in own], np.bool_),
            np.concatenate((np.zeros(inner), values[:, target])),
        )
        for target in range(targets)
    ]


def _by_node(levels: list[Any], dtype: Any) -> Array:
    """What each level has, for each node; zero for the leaves."""
    repeats = [2**level for level in range(len(levels))]
    found = np.repeat(np.array(levels, dtype=dtype), repeats)
    return np.concatenate((found, np.zeros(sum(repeats) + 1, dtype=dtype)))
