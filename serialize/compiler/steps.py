"""The features after each of scikit-learn's transformers that treat every column separately."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from serialize.compiler.features import Feature, NoCompiledForm, is_null, of_scikit_learn
from serialize.compiler.text import reweighted, vectorized
from serialize.transformers import documents


def transformed(step: Any, features: list[Feature]) -> list[Feature]:
    """The features after a fitted transformer, in its order. Raises NoCompiledForm for a transformer that is not known
    to treat every column separately."""
    if step is None or isinstance(step, str):
        return [] if step == "drop" else features
    form: _Form = of_scikit_learn(step, _TRANSFORMERS)
    return form(step, features)


def _piped(pipeline: Any, features: list[Feature]) -> list[Feature]:
    for _, step in pipeline.steps:
        features = transformed(step, features)
    return features


def _by_columns(transformer: Any, features: list[Feature]) -> list[Feature]:
    chosen = transformer._transformer_to_input_indices
    return [
        made
        for name, step, _ in transformer.transformers_
        if len(chosen[name])
        for made in _weighted(transformer, name, transformed(step, [features[index] for index in chosen[name]]))
    ]


def _united(union: Any, features: list[Feature]) -> list[Feature]:
    steps = union.transformer_list
    return [made for name, step in steps for made in _weighted(union, name, transformed(step, features))]


def _weighted(whole: Any, name: str, features: list[Feature]) -> list[Feature]:
    """The features of one part after its weight in `transformer_weights`."""
    weight = (whole.transformer_weights or {}).get(name)
    return features if weight is None else [feature.then("Mul", weight) for feature in features]


def _imputed(imputer: Any, features: list[Feature]) -> list[Feature]:
    features = _of_one_precision(features)
    fills = np.asarray(imputer.statistics_, dtype=object)
    kept = [imputer.strategy == "constant" or imputer.keep_empty_features or not is_null(fill) for fill in fills]
    parts = zip(features, fills, kept, strict=True)
    filled = [_filled(feature, fill, imputer.missing_values) for feature, fill, keep in parts if keep]
    return filled + (_missing(imputer.indicator_, features) if imputer.add_indicator else [])


def _filled(feature: Feature, fill: Any, missing: Any) -> Feature:
    if not is_null(missing):
        feature = feature.told_apart([missing])
    if feature.column.accepted == "text":
        return feature.then("fill", math.nan)
    if not is_null(missing) and not feature.coded:
        raise NoCompiledForm(f"The imputer takes {missing!r} for missing in {feature.column.name!r}.")
    return feature if feature.coded else feature.then("fill", 0.0 if is_null(fill) else fill)


def _missing(indicator: Any, features: list[Feature]) -> list[Feature]:
    if not is_null(indicator.missing_values):
        raise NoCompiledForm(f"The indicator takes {indicator.missing_values!r} for missing.")
    return [_flagged(features[index]) for index in indicator.features_]


def _flagged(feature: Feature) -> Feature:
    return feature.encoded([]) if feature.column.accepted == "text" else feature.then("is_null")


def _standardized(scaler: Any, features: list[Feature]) -> list[Feature]:
    dtype = np.float32 if features and all(feature.single for feature in features) else np.float64
    mean = [("Sub", np.asarray(scaler.mean_, dtype))] if scaler.with_mean else []
    return _calculated(features, mean + ([("Div", np.asarray(scaler.scale_, dtype))] if scaler.with_std else []))


def _min_max_scaled(scaler: Any, features: list[Feature]) -> list[Feature]:
    low, high = scaler.feature_range
    clipped = [("Max", low), ("Min", high)] if scaler.clip else []
    return _calculated(features, [("Mul", scaler.scale_), ("Add", scaler.min_), *clipped])


def _max_abs_scaled(scaler: Any, features: list[Feature]) -> list[Feature]:
    clipped = [("Max", -1.0), ("Min", 1.0)] if getattr(scaler, "clip", False) else []
    return _calculated(features, [("Div", scaler.scale_), *clipped])


def _robust_scaled(scaler: Any, features: list[Feature]) -> list[Feature]:
    center = [("Sub", scaler.center_)] if scaler.with_centering else []
    return _calculated(features, center + ([("Div", scaler.scale_)] if scaler.with_scaling else []))


_UFUNCS: dict[Any, tuple[tuple[str, float], ...]] = {
    None: (),
    np.log1p: (("Add", 1.0), ("Log", 0.0)),
    np.log: (("Log", 0.0),),
    np.log10: (("Log", 0.0), ("Mul", 1 / math.log(10))),
    np.log2: (("Log", 0.0), ("Mul", 1 / math.log(2))),
    np.exp: (("Exp", 0.0),),
    np.sqrt: (("Sqrt", 0.0),),
    np.abs: (("Abs", 0.0),),
}


def _by_function(transformer: Any, features: list[Feature]) -> list[Feature]:
    if transformer.func is documents:
        return [feature.then("documents") for feature in features]
    if transformer.func not in _UFUNCS or (transformer.func and transformer.kw_args):
        raise NoCompiledForm(f"The function {getattr(transformer.func, '__name__', '')!r} has no compiled form.")
    return _calculated(features, _UFUNCS[transformer.func])


def _calculated(features: list[Feature], operations: Sequence[tuple[str, Any]]) -> list[Feature]:
    """The numbers after operations, each with one operand or one for each feature. If one number has double precision,
    all have it, as in a numpy array."""
    features = _of_one_precision(features)
    for name, operands in operations:
        each = np.broadcast_to(operands, len(features))
        features = [feature.then(name, operand) for feature, operand in zip(features, each, strict=True)]
    return features


def _of_one_precision(features: list[Feature]) -> list[Feature]:
    if all(feature.single for feature in features):
        return features
    return [replace(feature, single=False) for feature in features]


def _encoded(encoder: Any, features: list[Feature]) -> list[Feature]:
    """One-hot, ordinal or target encoding, which makes one or more features of each."""
    width = len(encoder.classes_) if getattr(encoder, "target_type_", None) == "multiclass" else 1
    widths = getattr(encoder, "_n_features_outs", [width] * len(features))
    parts = zip(features, encoder.categories_, widths, strict=True)
    return [made for feature, known, width in parts for made in [feature.encoded(list(known))] * width]


def _selected(selector: Any, features: list[Feature]) -> list[Feature]:
    return [feature for feature, kept in zip(features, selector.get_support(), strict=True) if kept]


_Form = Callable[[Any, list[Feature]], list[Feature]]
_SELECTORS = ("VarianceThreshold", "SelectKBest", "SelectPercentile", "SelectFromModel", "RFE", "RFECV", "SelectFpr")
_TRANSFORMERS: dict[str, _Form] = {
    "Pipeline": _piped,
    "ColumnTransformer": _by_columns,
    "FeatureUnion": _united,
    "SimpleImputer": _imputed,
    "MissingIndicator": _missing,
    "StandardScaler": _standardized,
    "MinMaxScaler": _min_max_scaled,
    "MaxAbsScaler": _max_abs_scaled,
    "RobustScaler": _robust_scaled,
    "FunctionTransformer": _by_function,
    **dict.fromkeys(("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"), _encoded),
    **dict.fromkeys(_SELECTORS, _selected),
    **dict.fromkeys(("CountVectorizer", "TfidfVectorizer"), vectorized),
    "TfidfTransformer": reweighted,
}
