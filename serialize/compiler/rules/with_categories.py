"""Columns of numbers and of pandas categories as numbers: XGBoost and LightGBM split by the code of a category."""

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import numbers
from serialize.compiler.values import Coded, Part, Parts, Raw, Value


def with_categories(builder: Builder, value: Value) -> Parts:
    """A value as numbers; a category is its place among the categories of its column, a null or any other value NaN.
    Raises NoRule for other columns that are no numbers."""
    if not isinstance(value, Raw) or value.links or not any(column.levels for column in value.columns):
        return numbers(builder, value)
    parts: list[Part] = []
    for place, column in enumerate(value.columns):
        if column.levels is None:
            parts += numbers(builder, value.chosen([place])).parts
            continue
        known = [[level, code] for code, level in enumerate(column.levels.values)]
        absent = len(known)
        register = builder.add(
            "codes", builder.column(column.name), known=[*known, [None, absent]], refused=[], unseen=absent
        )
        parts.append(Coded(register, np.append(np.arange(float(absent)), np.nan)[:, None]))
    return Parts(tuple(parts), value.reference)
