"""The rules of transformers: a fitted step and the value before it, to the value after it. A step without a rule
becomes tables, or the program calls it."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
from scipy.sparse import issparse

from serialize.compiler.builder import Builder
from serialize.compiler.rules.demands import is_null, refusing
from serialize.compiler.rules.text_parameters import counting, weighting
from serialize.compiler.runtime.native import Path, dense, step_at
from serialize.compiler.runtime.operations import UFUNCS, operation
from serialize.compiler.tabulated import tabulated
from serialize.compiler.values import Array, Block, Coded, NoRule, Part, Parts, Raw, Terms, Value
from serialize.signature import Column
from serialize.transformers import documents

_MOST_CELLS = 20_000_000
_NUMERIC = ("integer", "number", "boolean")


def transformed(builder: Builder, path: Path, value: Value) -> Value:
    """The value after the step at a path. Raises NoRule if no candidate gives what the step gives."""
    step = step_at(builder.model.pipeline, path)
    if step is None or isinstance(step, str) or hasattr(step, "fit_resample"):  # a sampler works in fit only
        return builder.chosen(numbers(builder, value), [], None) if step == "drop" else value
    match type(step).__name__:
        case "Pipeline":
            return piped(builder, path, value, len(step.steps))
        case "ColumnTransformer" | "FeatureUnion":
            return _side_by_side(builder, path, value)
    return _leaf(builder, path, value)


def piped(builder: Builder, path: Path, value: Value, steps: int) -> Value:
    """The value after the first steps of a pipeline."""
    for number in range(steps):
        value = transformed(builder, (*path, "steps", number, 1), value)
    return value


def numbers(builder: Builder, value: Value) -> Parts:
    """A value as numbers. Raises NoRule for columns that are no numbers, and after steps that gave none."""
    if isinstance(value, Parts):
        return value
    if value.links or any(column.accepted not in _NUMERIC or column.levels for column in value.columns):
        raise NoRule("The columns are no numbers.")
    wanted = dense(value.reference)
    parts: list[Part] = []
    for rounding, columns in groupby(value.columns, lambda column: _rounding(column, str(wanted.dtype))):
        registers = [builder.column(column.name) for column in columns]
        register = builder.add("numbers", *registers, dtype=rounding)
        if rounding != str(wanted.dtype):
            register = builder.add("double", register)
        parts.append(Block(register, len(registers)))
    return Parts(tuple(parts), value.reference)


def _rounding(column: Column, dtype: str) -> str:
    """The precision to which the values of a column are rounded before steps get them in another dtype."""
    own = column.dtype.lower()
    return own if own in ("float16", "float32") else dtype


def _side_by_side(builder: Builder, path: Path, value: Value) -> Value:
    """A ColumnTransformer or a FeatureUnion. If a branch gives no numbers, it is one step."""
    step = step_at(builder.model.pipeline, path)
    reference = builder.called(path, "transform", value)
    try:
        made = [numbers(builder, part) for part in _branches(builder, step, path, value)]
    except NoRule:
        return _leaf(builder, path, value)
    whole = Parts(tuple(part for one in made for part in one.parts), None)
    return builder.first([lambda: whole, *builder.native(path, "transform", value)], reference)


def _branches(builder: Builder, step: Any, path: Path, value: Value) -> Iterator[Value]:
    if type(step).__name__ == "FeatureUnion":
        for number, (name, _) in enumerate(step.transformer_list):
            made = transformed(builder, (*path, "transformer_list", number, 1), value)
            yield _weighted(builder, step, name, made)
        return
    for number, (name, own, columns) in enumerate(step.transformers_):
        places: Any = list(map(int, step._transformer_to_input_indices[name]))
        if not places or own == "drop":
            continue
        if isinstance(columns, str | int | np.integer):
            places = places[0]
        if isinstance(value, Raw):
            part: Value = value.chosen(places)
        else:
            chosen = [places] if isinstance(places, int) else places
            reference = value.reference.iloc if hasattr(value.reference, "iloc") else value.reference
            part = builder.chosen(value, chosen, reference[:, places])
        yield _weighted(builder, step, name, transformed(builder, (*path, "transformers_", number, 1), part))


def _weighted(builder: Builder, whole: Any, name: str, value: Value) -> Value:
    """One part after its weight in `transformer_weights`."""
    weight = (whole.transformer_weights or {}).get(name)
    return value if weight is None else calculated(builder, numbers(builder, value), "times", float(weight))


def _leaf(builder: Builder, path: Path, value: Value) -> Value:
    step = step_at(builder.model.pipeline, path)
    reference = builder.called(path, "transform", value)
    if isinstance(value, Parts):
        return builder.first(_of_numbers(builder, path, step, value), reference)
    link = {"path": list(path), "method": "transform"}
    after = Raw(value.container, value.columns, (*value.links, link), reference)
    try:
        if not issparse(reference):
            dense(reference)
    except (TypeError, ValueError):
        return after  # no numbers yet: the next step decides
    return builder.first(_of_raw(builder, path, step, value, after), reference)


def _of_numbers(builder: Builder, path: Path, step: Any, value: Parts) -> Iterator[Callable[[], Parts]]:
    rule = TRANSFORMERS.get(type(step).__name__)
    if rule is not None:
        yield lambda: rule(builder, step, refusing(builder, step, value))
    yield from builder.native(path, "transform", value)


def _of_raw(builder: Builder, path: Path, step: Any, value: Raw, after: Raw) -> Iterator[Callable[[], Parts]]:
    if type(step).__name__ in _VECTORIZERS:
        yield lambda: _terms(builder, step, value)
    rule = TRANSFORMERS.get(type(step).__name__)
    if rule is not None:
        yield lambda: rule(builder, step, refusing(builder, step, numbers(builder, value)))
    yield lambda: tabulated(builder, after)
    yield lambda: builder.over_array(path, "transform", numbers(builder, value))
    yield from builder.native(path, "transform", value)


def calculated(builder: Builder, value: Parts, name: str, operand: Any = None, key: str = "operand") -> Parts:
    """Each number after an operation, with no operand, or one for each column. Tables are calculated at once."""
    parts: list[Part] = []
    start = 0
    for part in value.parts:
        if isinstance(part, Terms):
            parts.append(_of_terms(builder, part, name, operand, key, start))
            start += part.width
            continue
        own = {} if operand is None else {key: _own(operand, start, part.width, builder, part)}
        if isinstance(part, Coded):
            with np.errstate(all="ignore"):
                parts.append(Coded(part.register, operation(name, own, None, builder.model.signature)(part.table)))
        else:
            parts.append(Block(builder.add(name, part.register, **own), part.width))
        start += part.width
    return Parts(tuple(parts), None)


def _own(operand: Any, start: int, width: int, builder: Builder, part: Block | Coded) -> Array:
    """The operands of one part, in the precision of the part."""
    dtype = part.table.dtype if isinstance(part, Coded) else builder.values[part.register].dtype
    array = np.asarray(operand, dtype=dtype)
    return array if array.ndim == 0 else array[start : start + width]


def _of_terms(builder: Builder, part: Terms, name: str, operand: Any, key: str, start: int) -> Part:
    """Terms after an operation. They become a block if zeros change."""
    own = None if operand is None else np.asarray(operand, dtype=np.float64)
    own = own if own is None or own.ndim == 0 else own[start : start + part.width]
    given = {} if own is None else {key: own}
    with np.errstate(all="ignore"):
        zeros = operation(name, given, None, builder.model.signature)(np.zeros((1, part.width)))
    if (zeros != 0).any():
        (block,) = calculated(
            builder, builder.parts(builder.block(Parts((part,), None)).register), name, own, key
        ).parts
        return block
    if own is not None and own.ndim:
        spread = np.ones(part.known)
        spread[part.places] = own
        own = spread
    return Terms(builder.add("of_terms", part.register, function=name, key=key, operand=own), part.places, part.known)


def _terms(builder: Builder, step: Any, value: Raw) -> Parts:
    """The terms of a column of texts, which steps before may have made of a column with nulls. Raises NoRule or
    ValueError for other columns and for a vectorizer with functions of its own."""
    before = [step_at(builder.model.pipeline, link["path"]) for link in value.links if "path" in link]
    if len(value.columns) != 1 or value.columns[0].accepted != "text" or len(before) != len(value.links):
        raise NoRule("The input is not one column of texts.")
    if any(getattr(each, "func", None) is not documents for each in before):
        raise NoRule("Another step makes the texts.")
    (column,) = value.columns
    if column.dtype.startswith("<U"):
        raise NoRule("numpy drops NUL characters at the end of such a string.")
    given = {"column": column.name, "null_is_empty": bool(before), **counting(step)}
    return _weighted_terms(builder, step, builder.add("terms", builder.column(column.name), **given), bool(step.binary))


def _weighted_terms(builder: Builder, step: Any, register: int, binary: bool = False) -> Parts:
    given = weighting(step, binary=binary)
    return builder.terms(register if given is None else builder.add("weighted", register, **given))


def _reweighted(builder: Builder, step: Any, value: Parts) -> Parts:
    """All terms of one column, weighted."""
    (part,) = value.parts
    if not isinstance(part, Terms) or not part.is_whole:
        raise NoRule("These are not the terms of one column.")
    return _weighted_terms(builder, step, part.register)


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
        return _reweighted(builder, step, value)
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


def product(builder: Builder, value: Parts, weights: Array, intercept: Array | None = None) -> Parts:
    """The product with weights of shape (k, c), and an intercept of shape (c,). Tables are multiplied at once, and the
    intercept is added to one of them."""
    weights = np.asarray(weights, dtype=np.float64)
    terms: list[int] = []
    start = 0
    for part in value.parts:
        own = weights[start : start + part.width]
        start += part.width
        if isinstance(part, Coded):
            with np.errstate(all="ignore"):
                table = part.table @ own
            if intercept is not None:
                table, intercept = table + intercept, None
            terms.append(builder.add("take", part.register, table=table))
        elif isinstance(part, Terms):
            if part.known * own.shape[1] > _MOST_CELLS:
                raise NoRule("The weights of the terms are too many.")
            spread = np.zeros((part.known, own.shape[1]))
            spread[part.places] = own
            terms.append(builder.add("product_of_terms", part.register, weights=spread))
        else:
            terms.append(builder.add("matmul", part.register, weights=own))
    if start != len(weights) or not terms:
        raise NoRule("The weights are for another number of columns.")
    if len(terms) > 1:
        terms = [builder.add("add", *terms)]
    if intercept is not None:
        terms = [builder.add("plus", terms[0], operand=np.asarray(intercept, dtype=np.float64))]
    return builder.parts(terms[0])


Rule = Callable[[Builder, Any, Parts], Parts]
_VECTORIZERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
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
    "TfidfTransformer": _reweighted,
    "Binarizer": lambda builder, step, value: calculated(builder, value, "above", step.threshold),
    "PolynomialFeatures": _polynomial,
    "KBinsDiscretizer": _binned,
    "PowerTransformer": _powered,
    **dict.fromkeys(_SELECTORS, _selected),
    **dict.fromkeys(("PCA", "TruncatedSVD", "IncrementalPCA", "FastICA"), _projected),
    "LinearDiscriminantAnalysis": _discriminants,
}
