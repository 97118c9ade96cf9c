"""The proof that a compiled model answers as its pipeline does: on the training rows, and on edge rows that lie at and
beyond what training has seen."""

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

Answers = Callable[[Sequence[Row]], Outputs]


def difference(model: Model, compiled: Answers, rows: Sequence[Row]) -> str | None:
    """A sentence that says where the compiled model answers otherwise than the pipeline, None where it nowhere does.

    Compared are the first 100,000 of the training observations, edge rows, and some of the former alone as well
    as in company: the class, and the outputs to 1e-9 (1e-6 in single precision), relative for values above 1. An
    observation that the pipeline refuses must be refused, and none else."""
    training = rows[:_MOST_ROWS]
    for start in range(0, len(training), _AT_ONCE):
        part = training[start : start + _AT_ONCE]
        if found := _first_difference(model, compiled, part):
            return f"The compiled form answers training row {start + found[0]} otherwise: {found[1]}."
    edges = edge_rows(model.signature, training)
    if found := _first_difference(model, compiled, edges):
        return f"The compiled form answers an edge row otherwise: {found[1]} for {_changed(edges[found[0]], rows[0])}."
    sample = [training[index] for index in np.unique(np.linspace(0, len(training) - 1, _ALONE).astype(int))]
    if found := _first_difference(model, lambda few: np.vstack([compiled([row]) for row in few]), sample):
        return f"The compiled form answers a row alone otherwise: {found[1]}."
    return None


def edge_rows(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Observations that are allowed but rare: the first training row with every column in turn null, of each
    category, unseen, very long, zero, negative and extreme; all null, all low and all high; and training values in
    company that they never were in.

    All low and high are 1e100 where nothing bounds them: a sum of several numbers that overflows is infinite or none
    by the order in which it is summed, in scikit-learn too."""
    row = rows[0]
    single = [{**row, column.name: value} for column in signature for value in _edges(column)]
    nulls = {column.name: None for column in signature if column.nullable}
    ends = [{column.name: _end(column, sign) for column in signature if _is_number(column)} for sign in (-1, 1)]
    return [*single, {**row, **nulls}, *({**row, **end} for end in ends), *_mixed(signature, rows)]


def _edges(column: Column) -> Iterator[Scalar]:
    if column.nullable:
        yield None
    if column.kind == "boolean":
        yield from (False, True)
    elif column.kind == "category":
        yield from column.categories or ()
    elif column.kind == "text":
        yield from ("", " ", "0", "nan", "None", "never seen", "Ünsëen ✓", "x" * column.max_length)
    else:
        least, greatest = column.limits
        tried: list[float] = [
            0,
            -1,
            1,
            2,
            255,
            256,
            1000,
            -1000,
            2**24 + 1,
            2**31,
            -(2**31),
            2**53 + 1,
            least,
            greatest,
        ]
        if column.kind == "number":
            tried += [-0.0, 0.5, -0.5, 5e-324, 1e-300, 1e6 + 0.1, 3.4028235e38, 3.5e38, 1e300, -1e300, 1.1]
        yield from (value for value in tried if least <= value <= greatest)


def _is_number(column: Column) -> bool:
    return column.kind in ("integer", "number")


def _end(column: Column, sign: int) -> Scalar:
    least, greatest = column.limits
    end = min(max(sign * _FAR, least), greatest)
    return int(end) if column.kind == "integer" else float(end)


def _mixed(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Rows of which every column is that of another training row, chosen by a fixed seed."""
    chance = np.random.default_rng(0)
    drawn = {name: chance.integers(0, len(rows), min(_MIXED, len(rows))) for name in signature.names}
    return [
        {name: rows[index][name] for name, index in zip(drawn, indices, strict=True)}
        for indices in zip(*drawn.values(), strict=True)
    ]


def _first_difference(model: Model, compiled: Answers, rows: Sequence[Row]) -> tuple[int, str] | None:
    """The number of the row that differs most, and how."""
    width = len(model.task.classes) or 1
    ours, theirs = _answers(compiled, rows, width), _answers(model.outputs, rows, width)
    refused, should = np.isnan(ours[:, 0]), np.isnan(theirs[:, 0])
    for place in np.flatnonzero(refused != should):
        return int(place), "it is refused" if refused[place] else "it is answered and the pipeline refuses it"
    apart = np.nan_to_num(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))).max(axis=1)
    worst = int(apart.argmax())
    tolerance = _SINGLE_PRECISION_TOLERANCE if model.single_precision else _TOLERANCE
    if apart[worst] > tolerance:
        return worst, f"{ours[worst].tolist()} for {theirs[worst].tolist()}, a difference of {apart[worst]:.2g}"
    for place in np.flatnonzero((_classes(ours, model.task) != _classes(theirs, model.task)) & ~refused):
        return int(place), "its outputs are equal, but it is of another class"
    return None


def _answers(outputs: Answers, rows: Sequence[Row], width: int) -> Outputs:
    """The outputs of shape (n, width), NaN for a row that is refused or has no finite answer."""
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
    """Which class each row of outputs is of, by number; all the same in a regression."""
    if task.threshold is not None:
        return np.asarray(outputs[:, task.positive_index] >= task.threshold)
    return np.asarray(np.nan_to_num(outputs).argmax(axis=1))


def _changed(row: Row, base: Row) -> str:
    shown = {name: value if not isinstance(value, str) else value[:20] for name, value in row.items()}
    return ", ".join(f"{name} {value!r}" for name, value in shown.items() if value != base[name])
