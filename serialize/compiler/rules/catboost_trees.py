"""The rule of CatBoost. It rounds numbers to single precision; its trees are oblivious: all nodes of a level have the
same split."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated, numbers
from serialize.compiler.rules.catboost_categories import Content, known_values, questions
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


class Split(NamedTuple):
    """The column of the block whose numbers above `border` go right."""

    column: int
    border: float
    null_goes_left: bool = False


def of_catboost(builder: Builder, path: Path, model: Any, value: Value) -> Parts:
    """Boosted trees; the trees of the best iteration are the only ones that the model keeps. A model with categories of
    its own is called over objects if they have no rule."""
    if not isinstance(value, Raw) or value.links or not model.get_cat_feature_indices():
        content = _content(model)
        places = [feature["flat_feature_index"] for feature in _floats(content)]
        return _outputs(builder, content, numbers(builder, value), _splits(content, places))
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    columns = [builder.column(column.name) for column in value.columns]
    candidates = [
        lambda: _with_categories(builder, model, value),
        lambda: builder.over_array(path, method, builder.parts(builder.add("objects", *columns))),
    ]
    return builder.first(candidates, builder.called(path, method, value))


def _with_categories(builder: Builder, model: Any, value: Raw) -> Parts:
    """The block has the numbers first, and then what the trees ask for of the categories."""
    from catboost import Pool  # noqa: PLC0415 - only a model of CatBoost needs it

    own = model.get_cat_feature_indices()
    values = [known_values(builder, column) if n in own else [0.0] for n, column in enumerate(value.columns)]
    rows = [[each[n % len(each)] for each in values] for n in range(max(map(len, values)))]
    content = _content(model, Pool(rows, cat_features=own))
    places = [feature["flat_feature_index"] for feature in _floats(content)]
    floats = numbers(builder, value.chosen(places)).parts if places else ()
    tables, *others = questions(builder, value, content)
    asked, counted = ([len(places) + place for place in each] for each in others)
    splits = _splits(content, range(len(places)), asked, counted)
    return _outputs(builder, content, Parts((*floats, *tables), None), splits)


def _outputs(builder: Builder, content: Content, value: Parts, splits: Sequence[Split]) -> Parts:
    scale, bias = content["scale_and_bias"]
    grown = [
        (tree, target)
        for each in content["oblivious_trees"]
        for target, tree in enumerate(_of_tree(each, splits, len(bias)))
    ]
    demands = Demands(refuses_null=False, refuses_infinity=False, single=True)
    raw = summed(builder, value, demands, grown, len(bias))
    if scale != 1:
        raw = calculated(builder, raw, "times", float(scale))
    raw = calculated(builder, raw, "plus", np.array(bias, dtype=np.float64))
    link = _LINKS.get(content["model_info"]["params"]["loss_function"]["type"])
    return boosting_outputs(builder, raw, link, both=link == "sigmoid" and len(bias) == 1)


def _content(model: Any, pool: Any = None) -> Content:
    """The model as CatBoost exports it; with a pool, the hashes of its categories too."""
    with tempfile.TemporaryDirectory() as folder:
        file = File(folder) / "model.json"
        model.save_model(str(file), format="json", pool=pool)
        found: Content = json.loads(file.read_text(encoding="utf-8"))
    return found


def _floats(content: Content) -> list[Content]:
    found: list[Content] = content["features_info"].get("float_features", [])
    return found


def _splits(
    content: Content, floats: Sequence[int], asked: Sequence[int] = (), counted: Sequence[int] = ()
) -> list[Split]:
    """All splits in the order in which the trees number them: of numbers, of values of categories, and of counts."""
    found = [
        Split(column, border, null_goes_left=feature["nan_value_treatment"] != "AsTrue")
        for column, feature in zip(floats, _floats(content), strict=True)
        for border in feature["borders"] or ()
    ]
    found += [Split(column, 0.5) for column in asked]
    counts = content["features_info"].get("ctrs", [])
    return found + [
        Split(column, border) for column, count in zip(counted, counts, strict=True) for border in count["borders"]
    ]


def _of_tree(tree: Content, splits: Sequence[Split], targets: int) -> list[Tree]:
    """The same tree for each target. Split i of d decides bit i of the number of the leaf, so the last one is the root:
    node i has the children 2 i + 1 and 2 i + 2, and the leaves come last."""
    levels = [splits[split["split_index"]] for split in reversed(tree.get("splits") or [])]
    inner = 2 ** len(levels) - 1
    nodes = np.arange(inner)
    left, right = (np.concatenate((2 * nodes + side, np.full(inner + 1, -1))) for side in (1, 2))
    values = np.array(tree["leaf_values"]).reshape(-1, targets)
    return [
        Tree(
            left,
            right,
            _by_node([each.column for each in levels], np.int64),
            _by_node([each.border for each in levels], np.float32).astype(np.float64),
            _by_node([each.null_goes_left for each in levels], np.bool_),
            np.concatenate((np.zeros(inner), values[:, target])),
        )
        for target in range(targets)
    ]


def _by_node(levels: list[Any], dtype: Any) -> Array:
    """What each level has, for each node; zero for the leaves."""
    repeats = [2**level for level in range(len(levels))]
    found = np.repeat(np.array(levels, dtype=dtype), repeats)
    return np.concatenate((found, np.zeros(sum(repeats) + 1, dtype=dtype)))
