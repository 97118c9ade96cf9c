"""Verifies that a compiled model gives the outputs of its pipeline: on the training rows, and on edge rows with values
at and beyond the limits of the training data."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from serialize.compiler.graph import Array
from serialize.frame import Row
from serialize.model import Model
from serialize.signature import Column, Scalar, Signature
from serialize.task import Outputs, Task

_TOLERANCE = 1e-9
_SINGLE_PRECISION_TOLERANCE = 1e-6
_MOST_ROWS = 100_000
_AT_ONCE = 10_000
_ALONE = 20
_MIXED = 1_000
_FAR = 1e100
_INTEGERS = (0, -1, 1, 2, 255, 256, 1000, -1000, 2**24 + 1, 2**31, -(2**31), 2**53 + 1)
_NUMBERS = (-0.0, 0.5, -0.5, 5e-324, 1e-300, 1e6 + 0.1, 3.4028235e38, 3.5e38, 1e300, -1e300, 1.1)

Answers = Callable[[Sequence[Row]], Outputs]


def difference(model: Model, compiled: Answers, rows: Sequence[Row]) -> str | None:
    """One sentence about the first difference between the compiled model and the pipeline, or None if they are equal.

    Compares the first 100,000 training observations, edge rows, and a sample of observations one at a time: the class,
    and the outputs to 1e-9 (1e-6 in single precision), relative for values above 1. Both must refuse the same rows."""
    training = rows[:_MOST_ROWS]
    for start in range(0, len(training), _AT_ONCE):
        part = training[start : start + _AT_ONCE]
        if found := _first_difference(model, compiled, part):
            return f"The compiled form differs for training row {start + found[0]}: {found[1]}."
    edges = edge_rows(model.signature, training)
    if found := _first_difference(model, compiled, edges):
        return f"The compiled form differs for an edge row: {found[1]} for {_changed(edges[found[0]], rows[0])}."
    sample = [training[index] for index in np.unique(np.linspace(0, len(training) - 1, _ALONE).astype(int))]
    if found := _first_difference(model, lambda few: np.vstack([compiled([row]) for row in few]), sample):
        return f"The compiled form differs for a row scored alone: {found[1]}."
    return None


def edge_rows(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Valid but rare observations: the first training row with one column at a time null, of each category, unseen,
    very long, zero, negative and extreme; with all columns null, low or high; and mixtures of training rows.

    If nothing bounds a column, its low and high are -1e100 and 1e100: with larger values, a sum of several numbers
    overflows or not depending on its order, in scikit-learn too."""
    row = rows[0]
    single = [{**row, column.name: value} for column in signature for value in _edges(column)]
    nulls = {column.name: None for column in signature if column.nullable}
    numeric = [column for column in signature if column.accepted in ("integer", "number")]
    ends = [{column.name: _end(column, sign) for column in numeric} for sign in (-1, 1)]
    return [*single, {**row, **nulls}, *({**row, **end} for end in ends), *_mixed(signature, rows)]


def _edges(column: Column) -> Iterator[Scalar]:
    if column.nullable:
        yield None
    yield from column.categories or ()
    if column.accepts_unseen and column.levels:
        yield from column.levels.values
    if column.accepted == "boolean":
        yield from (False, True)
    elif column.accepted == "text":
        yield from ("", " ", "0", "nan", "None", "never seen", "Ünsëen ✓", "x" * column.max_length)
    elif column.accepted != "category":
        least, greatest = column.limits
        tried = [*_INTEGERS, least, greatest, *(_NUMBERS if column.accepted == "number" else ())]
        yield from (value for value in tried if least <= value <= greatest)


def _end(column: Column, sign: int) -> Scalar:
    least, greatest = column.limits
    end = min(max(sign * _FAR, least), greatest)
    return int(end) if column.accepted == "integer" else float(end)


def _mixed(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Rows that take each column from a training row chosen at random, with a fixed seed."""
    random = np.random.default_rng(0)
    drawn = {name: random.integers(0, len(rows), min(_MIXED, len(rows))) for name in signature.names}
    return [
        {name: rows[index][name] for name, index in zip(drawn, indices, strict=True)}
        for indices in zip(*drawn.values(), strict=True)
    ]


def _first_difference(model: Model, compiled: Answers, rows: Sequence[Row]) -> tuple[int, str] | None:
    """The index of a row that differs, and how; if only the outputs differ, of the row that differs most."""
    width = len(model.task.classes) or 1
    ours, theirs = _answers(compiled, rows, width), _answers(model.outputs, rows, width)
    refused, should = np.isnan(ours[:, 0]), np.isnan(theirs[:, 0])
    for place in np.flatnonzero(refused != should):
        return int(place), "only the compiled form refuses it" if refused[place] else "only the pipeline refuses it"
    apart = np.nan_to_num(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))).max(axis=1)
    worst = int(apart.argmax())
    tolerance = _SINGLE_PRECISION_TOLERANCE if model.single_precision else _TOLERANCE
    if apart[worst] > tolerance:
        return worst, f"{ours[worst].tolist()} for {theirs[worst].tolist()}, a difference of {apart[worst]:.2g}"
    for place in np.flatnonzero((_classes(ours, model.task) != _classes(theirs, model.task)) & ~refused):
        return int(place), "its outputs are equal, but its class differs"
    return None


def _answers(outputs: Answers, rows: Sequence[Row], width: int) -> Outputs:
    """The outputs of shape (n, width), NaN for a row that is refused or has no finite output."""
    try:
        answers = np.array(outputs(rows))
    except Exception:  # noqa: BLE001 - a pipeline may raise anything, and an observation that it refuses is no fault
        if len(rows) == 1:
            return np.full((1, width), np.nan)
        middle = len(rows) // 2
        return np.vstack([_answers(outputs, half, width) for half in (rows[:middle], rows[middle:])])
    answers[~np.isfinite(answers).all(axis=1)] = np.nan
    return answers


def _classes(outputs: Outputs, task: Task) -> Array:
    """The class of each row of outputs, as a number; all the same in a regression."""
    if task.threshold is not None:
        return np.asarray(outputs[:, task.positive_index] >= task.threshold)
    return np.asarray(np.nan_to_num(outputs).argmax(axis=1))


def _changed(row: Row, base: Row) -> str:
    shown = {name: value if not isinstance(value, str) else value[:20] for name, value in row.items()}
    return ", ".join(f"{name} {value!r}" for name, value in shown.items() if value != base[name])
