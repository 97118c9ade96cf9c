"""Sums of the leaves of trees, as one instruction, and what boosting makes of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.demands import Demands
from serialize.compiler.rules.ensemble import Tree, ensemble
from serialize.compiler.rules.graph import tree_graph
from serialize.compiler.runtime.native import Path
from serialize.compiler.values import NoRule, Parts, Value

TreeRule = Callable[[Builder, Path, Any, Value], Parts]
ACCEPTS_ALL = Demands(refuses_null=False, refuses_infinity=False, single=False)


def summed(
    builder: Builder,
    value: Parts,
    demands: Demands,
    grown: Sequence[tuple[Tree, int]],
    targets: int,
    *,
    single: bool = False,
) -> Parts:
    """The sums of trees, each paired with its target; in single precision if `single`."""
    attributes = ensemble(grown, targets, np.float32 if single else np.float64)
    content = tree_graph(attributes, targets, single=single)
    register = builder.block(value).register
    if demands.single:
        register = builder.add("single", register)
    if demands.refuses_null or demands.refuses_infinity:
        register = builder.add("refuse", register, null=demands.refuses_null, infinite=demands.refuses_infinity)
    return builder.parts(builder.add("trees", register, content=content, single=single))


_LINKS = {"softmax": "softmax", "sigmoid": "expit", "exp": "exp"}


def boosting_outputs(
    builder: Builder, raw: Parts, link: str | None, *, both: bool = False, single: bool = False
) -> Parts:
    """Outputs from the sums of boosted trees under a link: softmax, sigmoid, exp or identity. With `both`, a
    probability becomes those of two classes. Raises NoRule for another link."""
    register = builder.block(raw).register
    if link != "identity":
        if link not in _LINKS:
            raise NoRule("The link has no rule.")
        register = builder.add(f"{_LINKS[link]}_single" if single else _LINKS[link], register)
    return builder.parts(builder.add("both", register) if both else register)
