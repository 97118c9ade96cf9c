"""Verifies that a compiled model gives the outputs of its pipeline: on the training rows, and on edge rows with values
at and beyond the limits of the training data."""

from collections.abc import Sequence

import numpy as np

from serialize.checks.edge_rows import Answers, answers, changed, edge_rows
from serialize.frame import Row
from serialize.model import Model

_TOLERANCE = 1e-9
_SINGLE_PRECISION_TOLERANCE = 1e-6
_MOST_ROWS = 100_000
_AT_ONCE = 10_000
_ALONE = 20


def difference(model: Model, compiled: Answers, rows: Sequence[Row]) -> str | None:
    """One sentence about the first difference between the compiled model and the pipeline, or None if they are equal.

    Compares the first 100,000 training observations, edge rows, and a sample of observations one at a time, to 1e-9
    (1e-6 in single precision), relative for values above 1. Both must refuse the same rows."""
    training = rows[:_MOST_ROWS]
    if unequal := difference_of_rows(model, compiled, training):
        return unequal
    edges = edge_rows(model.signature, training)
    if found := _first_difference(model, compiled, edges):
        return f"The compiled form differs for an edge row: {found[1]} for {changed(edges[found[0]], rows[0])}."
    sample = [training[index] for index in np.unique(np.linspace(0, len(training) - 1, _ALONE).astype(int))]
    if found := _first_difference(model, lambda few: np.vstack([compiled([row]) for row in few]), sample):
        return f"The compiled form differs for a row scored alone: {found[1]}."
    return None


def difference_of_rows(model: Model, compiled: Answers, rows: Sequence[Row]) -> str | None:
    """The same for these training observations alone, in batches. The sentence holds no value of an observation."""
    for start in range(0, len(rows), _AT_ONCE):
        if found := _first_difference(model, compiled, rows[start : start + _AT_ONCE]):
            return f"The compiled form differs for training row {start + found[0]}: {found[1]}."
    return None


def _first_difference(model: Model, compiled: Answers, rows: Sequence[Row]) -> tuple[int, str] | None:
    """The index of a row that differs, and how; if only the outputs differ, of the row that differs most."""
    width = len(model.task.classes) or 1
    ours, theirs = answers(compiled, rows, width), answers(model.outputs, rows, width)
    refused, should = np.isnan(ours[:, 0]), np.isnan(theirs[:, 0])
    for place in np.flatnonzero(refused != should):
        return int(place), "only the compiled form refuses it" if refused[place] else "only the pipeline refuses it"
    apart = np.nan_to_num(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))).max(axis=1)
    worst = int(apart.argmax())
    tolerance = _SINGLE_PRECISION_TOLERANCE if model.single_precision else _TOLERANCE
    if apart[worst] > tolerance:
        return worst, f"{ours[worst].tolist()} for {theirs[worst].tolist()}, a difference of {apart[worst]:.2g}"
    return None
