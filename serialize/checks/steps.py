"""Finds the step of a pipeline whose output for a row depends on the other rows of the call."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from serialize.frame import Row, build_input
from serialize.model import Model

_WITH = 1_000


def first_different_step(model: Model, rows: Sequence[Row], batch: Sequence[int], at: int, tolerance: float) -> str:
    """The first step whose output for row `at` differs between the batch and all rows (at most 1,000 more), as a
    phrase such as "Step 'scaler' (StandardScaler)". Without such a step it is the whole estimator."""
    others = [index for index in range(min(len(rows), _WITH)) if index != at]
    few = build_input(model.signature, [rows[index] for index in batch])
    many = build_input(model.signature, [rows[index] for index in [at, *others]])
    return _search(model.pipeline, few, list(batch).index(at), many, tolerance) or type(model.pipeline).__name__


def _search(pipeline: Any, few: Any, place: int, many: Any, tolerance: float) -> str | None:
    """The phrase for the first different step, of two inputs that hold the same row at `place` and at 0."""
    if not isinstance(pipeline, Pipeline):
        return None
    for name, step in pipeline.steps[:-1]:
        if step is None or step == "passthrough":
            continue
        inner = _search(step, few, place, many, tolerance)
        few, many = step.transform(few), step.transform(many)
        columns = _different(_row(few, place), _row(many, 0), tolerance)
        if inner or len(columns):
            return inner or f"Step {name!r} ({_inside(step, columns)})"
    name, final = pipeline.steps[-1]
    return _search(final, few, place, many, tolerance) or f"Step {name!r} ({type(final).__name__})"


def _inside(step: Any, columns: Sequence[int]) -> str:
    """The class of a step; of a ColumnTransformer, with the transformer that makes the first different column."""
    for name, output in getattr(step, "output_indices_", {}).items():
        if len(columns) and columns[0] in range(output.start, output.stop):
            return f"{type(step).__name__}, its transformer {name!r}"
    return type(step).__name__


def _row(table: Any, place: int) -> "np.ndarray[Any, Any]":
    if hasattr(table, "tocsr"):
        return np.asarray(table.tocsr()[[place]].toarray(), dtype=object).reshape(-1)
    if isinstance(table, pd.DataFrame | pd.Series):
        return np.asarray(table.iloc[[place]], dtype=object).reshape(-1)
    return np.asarray(np.asarray(table, dtype=object)[place], dtype=object).reshape(-1)


def _different(left: "np.ndarray[Any, Any]", right: "np.ndarray[Any, Any]", tolerance: float) -> list[int]:
    if left.shape != right.shape:
        return [0]
    return [i for i, (one, other) in enumerate(zip(left, right, strict=True)) if not _close(one, other, tolerance)]


def _close(one: Any, other: Any, tolerance: float) -> bool:
    try:
        return bool(np.isclose(float(one), float(other), rtol=tolerance, atol=tolerance, equal_nan=True))
    except (TypeError, ValueError):
        return bool(one == other) or bool(pd.isna(one) and pd.isna(other))
