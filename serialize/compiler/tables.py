"""Tables of the features that the pipeline's own steps compute for each value of a column that they distinguish, for
a null, and for an unseen value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from serialize.compiler.features import Demands, Feature, NoCompiledForm
from serialize.compiler.graph import Array, Graph
from serialize.compiler.runtime import Codes, Inputs
from serialize.compiler.text import TextSums
from serialize.frame import Row
from serialize.signature import Column, Scalar
from serialize.task import Task

Run = Callable[[Sequence[Row]], Any]

_MOST_CELLS = 20_000_000
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The state while a model is compiled: the graph, its inputs, the sums over texts, the task, and an observation
    that the pipeline can score."""

    graph: Graph
    inputs: Inputs
    texts: TextSums
    task: Task
    row: Row


@dataclass(frozen=True, slots=True)
class Table:
    """For each code of the row `codes` of the inputs, the features at `places`: shape (codes, w)."""

    codes: int
    features: Array
    places: list[int]


def tables_of(features: Sequence[Feature], run: Run, demands: Demands, context: BuildContext) -> list[Table]:
    """The tables of the coded features; `run` computes features from observations. Raises NoCompiledForm for a table
    larger than 160 MB, and for a column of which the steps refuse every value."""
    places: dict[Column, list[int]] = {}
    for place, feature in enumerate(features):
        if feature.coded:
            places.setdefault(feature.column, []).append(place)
    tables = []
    for column, own in places.items():
        apart = frozenset[Scalar]().union(*(features[place].apart for place in own))
        values = sorted(apart, key=lambda value: (type(value).__name__, value))
        if len(values) * len(own) > _MOST_CELLS:
            raise NoCompiledForm(f"Column {column.name!r} has {len(values)} categories, too many to tabulate.")
        codes, table = _table(column, values, own, run, demands, context.row)
        tables.append(Table(context.inputs.coded(column.name, codes), table, own))
    return tables


def _table(
    column: Column, values: list[Scalar], places: list[int], run: Run, demands: Demands, row: Row
) -> tuple[Codes, Array]:
    """The features for each value of a column, for a null and for an unseen value."""
    unseen = list(islice(column.unseen(frozenset(values)), 1))
    tried = [*values, *([None] if column.nullable else []), *unseen]
    rows = [{**row, column.name: value} for value in tried]
    made = [
        None if answer is None else _accepted(answer[places], demands)
        for start in range(0, len(rows), _AT_ONCE)
        for answer in _answers(run, rows[start : start + _AT_ONCE])
    ]
    table = [answer for answer in made if answer is not None]
    if not table:
        raise NoCompiledForm(f"The pipeline can score no value of column {column.name!r}.")
    known = [value for value, answer in zip(tried, made, strict=True) if answer is not None]
    codes = {value: code for code, value in enumerate(known)}
    refused = [value for value in tried if value not in codes and value not in unseen]
    return Codes(codes, refused, codes.pop(unseen[0], None) if unseen else None), np.array(table)


def _accepted(answer: Array, demands: Demands) -> Array | None:
    with np.errstate(over="ignore"):
        taken = answer.astype(np.float32).astype(np.float64) if demands.single else answer
    refused = (demands.refuses_null and np.isnan(taken).any()) or (demands.refuses_infinity and np.isinf(taken).any())
    return None if refused else taken


def _answers(run: Run, rows: list[dict[str, Scalar]]) -> list[Array | None]:
    """The features of each row, None for a row that the steps refuse."""
    try:
        return list(_dense(run(rows)))
    except Exception:  # noqa: BLE001 - a step may raise anything at a value that it refuses
        middle = len(rows) // 2
        return _answers(run, rows[:middle]) + _answers(run, rows[middle:]) if middle else [None]


def _dense(X: Any) -> Array:
    """The output of a step (array, sparse matrix or DataFrame) as a matrix of doubles."""
    if hasattr(X, "to_numpy"):
        return np.asarray(X.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
