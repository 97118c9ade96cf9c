"""Takes a value through a step of the pipeline: with a candidate for this step, or through the steps that it holds."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import calculated, numbers
from serialize.compiler.rules.demands import refusing
from serialize.compiler.rules.texts import OF_TEXTS
from serialize.compiler.rules.transformers import TRANSFORMERS
from serialize.compiler.runtime.native import Path, dense, step_at
from serialize.compiler.tabulated import tabulated
from serialize.compiler.values import NoRule, Parts, Raw, Value


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
    of_texts = OF_TEXTS.get(type(step).__name__)
    if of_texts is not None:
        yield lambda: of_texts(builder, path, step, value)
    rule = TRANSFORMERS.get(type(step).__name__)
    if rule is not None:
        yield lambda: rule(builder, step, refusing(builder, step, numbers(builder, value)))
    yield lambda: tabulated(builder, after)
    yield lambda: builder.over_array(path, "transform", numbers(builder, value))
    yield from builder.native(path, "transform", value)
