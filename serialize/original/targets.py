"""The true labels or values of the rows of a file, in the form that the pipeline was fitted on."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from serialize.errors import DumpError
from serialize.task import Label, Task


def targets_of(column: "pd.Series[Any]", pipeline: Any, task: Task, source: str) -> "pd.Series[Any]":
    """The targets of n rows: numbers, or labels of the task. A label is found by its value, or else by its text. Raises
    DumpError for a null, for a label that is no class, and for a value of a regression that is no number."""
    nulls = int(column.isna().sum())
    if nulls:
        raise DumpError(f"{column.name!r} is null in {nulls} rows of {source}; remove these rows.")
    if task.kind == "regression":
        if not types.is_numeric_dtype(column):
            raise DumpError(f"{column.name!r} of {source} does not hold numbers, but the pipeline is a regressor.")
        return column
    if not column.map(types.is_hashable).all():
        raise DumpError(f"{column.name!r} of {source} does not hold labels; name the column with what came true.")
    own = map(str, np.asarray(pipeline.classes_).tolist())
    by_text = dict(zip(own, task.classes, strict=True))
    by_value: dict[Any, Label | None] = {value: by_text.get(str(value)) for value in column.unique().tolist()}
    by_value |= {label: label for label in task.classes}
    labels = column.map(by_value)
    unknown = column[labels.isna()]
    if len(unknown):
        raise DumpError(
            f"{column.name!r} of {source} holds {unknown.tolist()[0]!r}, which is none of the classes of the pipeline: "
            f"{', '.join(by_text)}."
        )
    return labels
