"""What each of scikit-learn's transformers makes of features: those that treat every column by itself."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from serialize.compiler.features import Feature, NoCompiledForm, is_null, of_scikit_learn


def transformed(step: Any, features: list[Feature]) -> list[Feature]:
    """The features that a fitted transformer gives, in its order. Raises NoCompiledForm for one that is not known to
    treat every column by itself."""
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
    parts = [
        transformed(step, [features[index] for index in chosen[name]])
        for name, step, _ in transformer.transformers_
        if len(chosen[name])
    ]
    return list(chain.from_iterable(parts))


def _united(union: Any, features: list[Feature]) -> list[Feature]:
    return list(chain.from_iterable(transformed(step, features) for _, step in union.transformer_list))


def _imputed(imputer: Any, features: list[Feature]) -> list[Feature]:
    features = _of_one_precision(features)
    fills = np.asarray(imputer.statistics_, dtype=object)
    kept = [imputer.strategy == "constant" or imputer.keep_empty_features or not is_null(fill) for fill in fills]
    filled = [
        _filled(feature, fill, imputer.missing_values)
        for feature, fill, keep in zip(features, fills, kept, strict=True)
        if keep
    ]
    return filled + (_missing(imputer.indicator_, features) if imputer.add_indicator else [])


def _filled(feature: Feature, fill: Any, missing: Any) -> Feature:
    if not is_null(missing):
        feature = feature.told_apart([missing])
    if feature.column.kind == "text":
        return feature.then("fill", math.nan)
    if not is_null(missing) and not feature.coded:
        raise NoCompiledForm(f"The imputer takes {missing!r} for missing in {feature.column.name!r}.")
    return feature if feature.coded else feature.then("fill", 0.0 if is_null(fill) else fill)


def _missing(indicator: Any, features: list[Feature]) -> list[Feature]:
    if not is_null(indicator.missing_values):
        raise NoCompiledForm(f"The indicator takes {indicator.missing_values!r} for missing.")
    return [_flagged(features[index]) for index in indicator.features_]


def _flagged(feature: Feature) -> Feature:
    return feature.encoded([]) if feature.column.kind == "text" else feature.then("is_null")


def _standardized(scaler: Any, features: list[Feature]) -> list[Feature]:
    single = bool(features) and all(feature.single for feature in features)
    dtype = np.float32 if single else np.float64
    operations = []
    if scaler.with_mean:
        operations.append(("Sub", np.asarray(scaler.mean_, dtype)))
    if scaler.with_std:
        operations.append(("Div", np.asarray(scaler.scale_, dtype)))
    return _calculated(features, operations)


def _between(scaler: Any, features: list[Feature]) -> list[Feature]:
    operations = [("Mul", scaler.scale_), ("Add", scaler.min_)]
    low, high = (np.full(len(features), bound) for bound in scaler.feature_range)
    return _calculated(features, operations + ([("Max", low), ("Min", high)] if scaler.clip else []))


def _by_greatest(scaler: Any, features: list[Feature]) -> list[Feature]:
    ones = np.ones(len(features))
    clipped = [("Max", -ones), ("Min", ones)] if getattr(scaler, "clip", False) else []
    return _calculated(features, [("Div", scaler.scale_), *clipped])


def _by_quantiles(scaler: Any, features: list[Feature]) -> list[Feature]:
    operations = [("Sub", scaler.center_)] if scaler.with_centering else []
    return _calculated(features, operations + ([("Div", scaler.scale_)] if scaler.with_scaling else []))


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
    if transformer.func not in _UFUNCS or (transformer.func and transformer.kw_args):
        raise NoCompiledForm(f"The function {getattr(transformer.func, '__name__', '')!r} has no compiled form.")
    return _calculated(features, [(name, np.full(len(features), x)) for name, x in _UFUNCS[transformer.func]])


def _calculated(features: list[Feature], operations: Sequence[tuple[str, Any]]) -> list[Feature]:
    """The numbers after operations with an operand for each. One of double precision makes all of them double, as in
    a numpy array."""
    features = _of_one_precision(features)
    for name, operands in operations:
        features = [feature.then(name, operand) for feature, operand in zip(features, operands, strict=True)]
    return features


def _of_one_precision(features: list[Feature]) -> list[Feature]:
    if all(feature.single for feature in features):
        return features
    return [replace(feature, single=False) for feature in features]


def _one_hot(encoder: Any, features: list[Feature]) -> list[Feature]:
    return _encoded(features, encoder.categories_, encoder._n_features_outs)


def _ordinal(encoder: Any, features: list[Feature]) -> list[Feature]:
    return _encoded(features, encoder.categories_, [1] * len(features))


def _by_target(encoder: Any, features: list[Feature]) -> list[Feature]:
    width = len(encoder.classes_) if encoder.target_type_ == "multiclass" else 1
    return _encoded(features, encoder.categories_, [width] * len(features))


def _encoded(features: list[Feature], categories: Sequence[Any], widths: Sequence[int]) -> list[Feature]:
    parts = zip(features, categories, widths, strict=True)
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
    "MinMaxScaler": _between,
    "MaxAbsScaler": _by_greatest,
    "RobustScaler": _by_quantiles,
    "FunctionTransformer": _by_function,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "TargetEncoder": _by_target,
    **dict.fromkeys(_SELECTORS, _selected),
}
