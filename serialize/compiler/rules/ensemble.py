"""Fitted decision trees as one ONNX tree ensemble, in double precision unless the library of the trees adds in single
precision. The thresholds, the leaves and the order of the sum are those of the library, so the outputs are equal. The
operator: ONNX, ai.onnx.ml version 5, TreeEnsemble."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serialize.compiler.values import Array

_AT_MOST, _BELOW, _MEMBER = 0, 1, 6


@dataclass(frozen=True, slots=True)
class Tree:
    """m nodes as arrays of shape (m,); the first is the root. An inner node has two children (-1 in a leaf), a feature,
    and the threshold up to which a value goes left, or below which if `below`; a leaf has a value. `members` maps a
    node that splits by category to the categories that go left."""

    left: Array
    right: Array
    feature: Array
    threshold: Array
    null_goes_left: Array
    value: Array
    members: Mapping[int, Array] = field(default_factory=dict)
    below: bool = False

    @property
    def is_leaf(self) -> Array:
        """Which nodes are leaves, shape (m,)."""
        return self.left < 0


def of_tree(tree: Any, values: Array) -> Tree:
    """The tree of a scikit-learn DecisionTree or forest, with a value for each node."""
    left, right = tree.children_left, tree.children_right
    return Tree(left, right, tree.feature, tree.threshold, tree.missing_go_to_left, values)


def of_histogram_tree(predictor: Any) -> Tree:
    """The tree of a scikit-learn histogram gradient boosting."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    categorical = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
    sets = {int(node): _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]) for node in categorical}
    threshold = nodes["num_threshold"].copy()
    threshold[categorical] = [0.0 if len(members) else -np.inf for members in sets.values()]
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    feature, null_goes_left = nodes["feature_idx"].astype(np.int64), nodes["missing_go_to_left"]
    members = {node: members for node, members in sets.items() if len(members)}
    return Tree(left, right, feature, threshold, null_goes_left, nodes["value"], members)


def ensemble(trees: Iterable[tuple[Tree, int]], targets: int, dtype: Any = np.float64) -> dict[str, Any]:
    """The attributes of an ensemble that adds the leaves of each tree to the target that it is paired with. `dtype` is
    that of its input and of the sum."""
    parts: list[dict[str, Array]] = []
    roots, members, inner, leaves = [], [], 0, 0
    for grown, target in trees:
        tree = _branched(grown)
        roots.append(inner)
        parts.append(_part(tree, target, inner, leaves))
        members += [np.append(tree.members[node].astype(dtype), np.nan) for node in sorted(tree.members)]
        inner += int((~tree.is_leaf).sum())
        leaves += int(tree.is_leaf.sum())
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    tensors = {"nodes_splits": dtype, "nodes_modes": np.uint8, "leaf_weights": dtype}
    attributes = {
        name: array.astype(tensors[name]) if name in tensors else array.tolist() for name, array in joined.items()
    }
    sets = {"membership_values": np.concatenate(members).astype(dtype)} if members else {}
    return {"n_targets": targets, "tree_roots": roots, **attributes, **sets}


def _part(tree: Tree, target: int, inner: int, leaves: int) -> dict[str, Array]:
    """The attributes of one tree; `inner` and `leaves` are the numbers of nodes of the trees before it."""
    leaf = tree.is_leaf
    nodes = np.flatnonzero(~leaf)
    place = np.where(leaf, leaves + np.cumsum(leaf) - 1, inner + np.cumsum(~leaf) - 1)
    ordered = _BELOW if tree.below else _AT_MOST
    modes = np.array([_MEMBER if node in tree.members else ordered for node in nodes.tolist()], dtype=np.uint8)
    return {
        "nodes_featureids": tree.feature[nodes],
        "nodes_splits": tree.threshold[nodes],
        "nodes_modes": modes,
        "nodes_truenodeids": place[tree.left[nodes]],
        "nodes_falsenodeids": place[tree.right[nodes]],
        "nodes_trueleafs": leaf[tree.left[nodes]].astype(np.int64),
        "nodes_falseleafs": leaf[tree.right[nodes]].astype(np.int64),
        "nodes_missing_value_tracks_true": tree.null_goes_left[nodes].astype(np.int64),
        "leaf_targetids": np.full(int(leaf.sum()), target),
        "leaf_weights": tree.value[leaf],
    }


def _members(bitset: Array) -> Array:
    """The numbers whose bits are set in eight words of 32 bits."""
    return np.flatnonzero(np.unpackbits(np.ascontiguousarray(bitset, dtype="<u4").view(np.uint8), bitorder="little"))


def _branched(tree: Tree) -> Tree:
    """The same tree; a tree of a single leaf gets a split with that leaf on both sides."""
    if len(tree.left) > 1:
        return tree
    value = np.repeat(tree.value[:1], 3)
    left, right = np.array([1, -1, -1]), np.array([2, -1, -1])
    return Tree(left, right, np.zeros(3, int), np.zeros(3), np.zeros(3, int), value, below=tree.below)
