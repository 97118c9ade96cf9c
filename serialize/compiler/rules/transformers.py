"""The rules of transformers: a fitted step and the numbers before it, to the numbers after it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated, product
from serialize.compiler.rules.demands import is_null
from serialize.compiler.rules.texts import reweighted
from serialize.compiler.runtime.operations import UFUNCS
from serialize.compiler.values import Coded, NoRule, Parts, Terms


def _imputed(builder: Builder, step: Any, value: Parts) -> Parts:
    if not is_null(step.missing_values):
        raise NoRule("Another value than null is missing.")
    fills = np.asarray(step.statistics_, dtype=np.float64)
    kept = [place for place, fill in enumerate(fills) if not np.isnan(fill)]
    filled = calculated(builder, builder.chosen(value, kept), "fill", fills[kept], "values")
    if not step.add_indicator:
        return filled
    return Parts((*filled.parts, *_flagged(builder, step.indicator_, value).parts), None)


def _flagged(builder: Builder, step: Any, value: Parts) -> Parts:
    return calculated(builder, builder.chosen(value, step.features_.tolist()), "is_null")


def _scaled(*operations: tuple[str, str, str], builder: Builder, step: Any, value: Parts) -> Parts:
    """Operations by the parameter that turns them on, and the attribute with their operands."""
    for option, name, attribute in operations:
        if not option or getattr(step, option):
            value = calculated(builder, value, name, getattr(step, attribute))
    return value


def _scale(*operations: tuple[str, str, str]) -> Callable[[Builder, Any, Parts], Parts]:
    return lambda builder, step, value: _scaled(*operations, builder=builder, step=step, value=value)


def _min_max(builder: Builder, step: Any, value: Parts) -> Parts:
    value = _scaled(("", "times", "scale_"), ("", "plus", "min_"), builder=builder, step=step, value=value)
    if not step.clip:
        return value
    low, high = step.feature_range
    return calculated(builder, calculated(builder, value, "at_least", low), "at_most", high)


def _function(builder: Builder, step: Any, value: Parts) -> Parts:
    if step.func is None:
        return value
    if step.func not in UFUNCS or step.kw_args:
        raise NoRule("It is a function of its own.")
    return calculated(builder, value, UFUNCS[step.func])


def _selected(builder: Builder, step: Any, value: Parts) -> Parts:
    return builder.chosen(value, np.flatnonzero(step.get_support()).tolist())


def _projected(builder: Builder, step: Any, value: Parts) -> Parts:
    """PCA, truncated SVD and other products with components, after the mean is subtracted."""
    mean = getattr(step, "mean_", None)
    if mean is not None:
        value = calculated(builder, value, "minus", mean)
    components = step.components_.T
    if getattr(step, "whiten", False):
        components = components / np.sqrt(np.maximum(step.explained_variance_, np.finfo(np.float64).eps))
    return product(builder, value, components)


def _discriminants(builder: Builder, step: Any, value: Parts) -> Parts:
    value = calculated(builder, value, "minus", step.xbar_)
    return product(builder, value, step.scalings_[:, : step._max_components])


def _unit(builder: Builder, step: Any, value: Parts) -> Parts:
    if step.norm != "max" and len(value.parts) == 1 and isinstance(value.parts[0], Terms):
        return reweighted(builder, step, value)
    return builder.parts(builder.add("unit", builder.block(value).register, norm=step.norm))


def _polynomial(builder: Builder, step: Any, value: Parts) -> Parts:
    powers = step.powers_
    if powers.sum(axis=1).max() > 2:
        raise NoRule("It has products of three columns.")
    one = powers.shape[1]
    pairs = [[*np.repeat(np.arange(one), row).tolist(), one, one] for row in powers]
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    block = builder.block(value)
    return builder.parts(builder.add("products", block.register, first=first, second=second))


def _binned(builder: Builder, step: Any, value: Parts) -> Parts:
    """The number of the interval of each value, or a column of zeros and a one for each."""
    codes = builder.add("bins", builder.block(value).register, edges=[edges[1:-1] for edges in step.bin_edges_])
    if step.encode == "ordinal":
        return builder.parts(codes)
    parts = []
    for place, edges in enumerate(step.bin_edges_):
        register = builder.add("bin_codes", codes, place=place)
        parts.append(Coded(register, np.eye(len(edges) - 1)))
    return Parts(tuple(parts), None)


def _powered(builder: Builder, step: Any, value: Parts) -> Parts:
    if step.method != "yeo-johnson":
        raise NoRule("It is the transform of Box and Cox.")
    value = calculated(builder, value, "yeo_johnson", step.lambdas_, "lambdas")
    if not step.standardize:
        return value
    return _scale(("with_mean", "minus", "mean_"), ("with_std", "divided", "scale_"))(builder, step._scaler, value)


Rule = Callable[[Builder, Any, Parts], Parts]
_SELECTORS = ("VarianceThreshold", "SelectKBest", "SelectPercentile", "SelectFromModel", "RFE", "RFECV", "SelectFpr")
TRANSFORMERS: dict[str, Rule] = {
    "SimpleImputer": _imputed,
    "MissingIndicator": _flagged,
    "StandardScaler": _scale(("with_mean", "minus", "mean_"), ("with_std", "divided", "scale_")),
    "RobustScaler": _scale(("with_centering", "minus", "center_"), ("with_scaling", "divided", "scale_")),
    "MaxAbsScaler": _scale(("", "divided", "scale_")),
    "MinMaxScaler": _min_max,
    "FunctionTransformer": _function,
    "Normalizer": _unit,
    "TfidfTransformer": reweighted,
    "Binarizer": lambda builder, step, value: calculated(builder, value, "above", step.threshold),
    "PolynomialFeatures": _polynomial,
    "KBinsDiscretizer": _binned,
    "PowerTransformer": _powered,
    **dict.fromkeys(_SELECTORS, _selected),
    **dict.fromkeys(("PCA", "TruncatedSVD", "IncrementalPCA", "FastICA"), _projected),
    "LinearDiscriminantAnalysis": _discriminants,
}
