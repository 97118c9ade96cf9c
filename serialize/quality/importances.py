"""The permutation importance of each column: the score that the model loses when the column is shuffled (Breiman 2001).
The work is bounded in rows and in time."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from serialize.checks.edge_rows import answers
from serialize.frame import build_input, observations
from serialize.model import Model
from serialize.quality.evaluation import Vector
from serialize.task import Outputs, Task

_METRICS = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}
_MANY_COLUMNS = 100
_ROWS, _ROWS_OF_MANY = 1000, 200
_SHUFFLES = 5
_SECONDS = 8.0
_ROWS_AT_ONCE = 10_000
_CELLS_AT_ONCE = 4_000_000
_QUICK_SECONDS = 0.5


def shuffles(columns: int) -> int:
    """How often each of so many columns is shuffled."""
    return _SHUFFLES if columns <= _MANY_COLUMNS else 1


def no_importances(task: Task) -> dict[str, Any]:
    """The importances of a model for which none were computed."""
    return {"metric": _METRICS[task.kind], "columns": {}}


def importances(
    model: Model,
    table: pd.DataFrame,
    truth: Vector,
    *,
    seconds: float = _SECONDS,
    done: Callable[[int], None] = lambda shuffles: None,
) -> dict[str, Any]:
    """The loss of score when one column of the training rows is shuffled, by column name, as mean and standard
    deviation over five shuffles of at most 1,000 rows; over one shuffle of at most 200 rows for more than 100 columns.
    The score is ROC AUC (binary), accuracy (multiclass) or R2 (regression); `truth` holds the targets as `score` takes
    them. After `seconds` no further shuffle is begun: a column without one is left out, and `note` says so. `done` is
    called with the number of shuffles that were made. The shuffles are those of scikit-learn's
    permutation_importance with random_state 0. A row that the model cannot score when it is shuffled keeps its
    output."""
    rows = _ROWS if len(table.columns) <= _MANY_COLUMNS else _ROWS_OF_MANY
    sample = np.random.default_rng(0).permutation(len(table))[:rows]
    X, truth = build_input(model.signature, observations(table.iloc[sample])).copy(), truth[sample]  # in one block
    own = model.outputs_of(X)
    whole = _score(model.task, truth, own)
    losses: dict[str, list[float]] = {str(name): [] for name in table.columns}
    began, at_once, most = time.monotonic(), 1, _most_at_once(X)
    for order in _orders(len(sample), shuffles(len(table.columns))):
        start = 0
        while start < len(losses) and (now := time.monotonic()) < began + seconds:
            places = range(start, min(start + at_once, len(losses)))
            outputs = answers(model.outputs_of, _shuffled(X, places, order), own.shape[1])
            for place, part in zip(places, np.split(outputs, len(places)), strict=True):
                answered = np.where(np.isnan(part), own, part)
                losses[str(table.columns[place])].append(whole - _score(model.task, truth, answered))
            done(len(places))
            start += len(places)
            at_once = min(2 * at_once, most) if time.monotonic() - now < _QUICK_SECONDS else at_once
    found = {name: {"mean": float(np.mean(each)), "std": float(np.std(each))} for name, each in losses.items() if each}
    note = f"The time limit of {seconds:g} s was reached after {len(found)} of {len(losses)} columns."
    return {**no_importances(model.task), "columns": found, **({"note": note} if len(found) < len(losses) else {})}


def _score(task: Task, truth: Vector, outputs: Outputs) -> float:
    """The score of n outputs; 0 where it is undefined."""
    if task.kind == "multiclass":
        return float(np.mean(outputs.argmax(axis=1) == truth))
    if task.kind == "binary":
        positive = truth == task.positive_index
        both = 0 < positive.sum() < len(truth)
        return float(roc_auc_score(positive, outputs[:, task.positive_index])) if both else 0.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = 1.0 - ((truth - outputs[:, 0]) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    return float(found) if np.isfinite(found) else 0.0


def _most_at_once(X: Any) -> int:
    """How many columns may be shuffled for one call of the model: several, because each call costs time of its own, but
    not so many that they need much memory."""
    rows, columns = len(X), 1 if X.ndim == 1 else X.shape[1]
    return max(1, min(_ROWS_AT_ONCE // rows, _CELLS_AT_ONCE // (rows * columns)))


def _orders(rows: int, number: int) -> Iterator[Vector]:
    random = np.random.RandomState(np.random.RandomState(0).randint(np.iinfo(np.int32).max + 1))
    order, places = np.arange(rows), np.arange(rows)
    for _ in range(number):
        random.shuffle(places)
        order = order[places]
        yield order


def _shuffled(X: Any, places: Sequence[int], order: Vector) -> Any:
    """A copy of the n rows for each of the places of columns, one below the other, with that column shuffled."""
    if X.ndim == 1:
        return X.iloc[order] if hasattr(X, "iloc") else X[order]
    rows = len(order)
    copies = np.tile(np.arange(rows), len(places))
    table = X.iloc[copies].reset_index(drop=True) if hasattr(X, "iloc") else X[copies]
    for copy, place in enumerate(places):
        if hasattr(X, "iloc"):
            taken = copies.copy()
            taken[copy * rows : (copy + 1) * rows] = order
            table[X.columns[place]] = X.iloc[taken, place].reset_index(drop=True)
        else:
            table[copy * rows : (copy + 1) * rows, place] = X[order, place]
    return table
