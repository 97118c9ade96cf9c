"""The recipes that a model can be fitted again by, and the choice of one: by its loss on the block of time that follows
the rows that it was fitted on. The hold-out is newer, and is not looked at here."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from serialize.errors import DumpError
from serialize.frame import Row
from serialize.model import Model
from serialize.task import Outputs, Task
from service.learning.gate.losses import GateError, row_losses
from service.learning.retraining.examples import Array, Examples, truth_array

ALL, WEIGHTED = "all rows", "all rows, weighted by recency"

_LEAST_WINDOW = 100
_MOST_WINDOWS = 7
_HALF_LIVES = 4  # in the rows of the log
_ROWS_AT_ONCE = 1_000
_WINDOW = re.compile(r"(?P<rows>[1-9][0-9]{0,18})|(?P<days>[1-9][0-9]{0,4})d")


@dataclass(frozen=True, slots=True)
class Window:
    """The newest rows: this number of rows, or those of this time."""

    rows: int | None = None
    time: timedelta | None = None

    def start(self, examples: Examples) -> int:
        """The place of its first example."""
        if self.rows is not None:
            return max(0, len(examples) - self.rows)
        if self.time is None or not len(examples):
            return 0
        oldest = examples.times[-1] - self.time
        return next(i for i, at in enumerate(examples.times) if at >= oldest)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a model is fitted on: the examples from a place on, or those of a window; with or without the rows from
    outside of the log."""

    name: str
    start: int = 0
    window: Window | None = None
    has_base: bool = True
    is_weighted: bool = False

    def chosen(self, examples: Examples) -> Examples:
        """The examples that it takes. A window moves with the newest example; a place does not."""
        start = self.start if self.window is None else self.window.start(examples)
        return examples.between(start, len(examples)) if start else examples


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipe that was tried: the number of rows of its fit and its mean loss, or why it is not one."""

    recipe: Recipe
    rows: int | None = None
    loss: float | None = None
    skipped: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The candidate as JSON."""
        return {"name": self.recipe.name, "rows": self.rows, "loss": self.loss, "skipped": self.skipped}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A pipeline that was fitted by a recipe, and the examples and the number of all rows that it was fitted on."""

    pipeline: Any
    examples: Examples
    rows: int


Fit = Callable[[Recipe, Examples], Fitted]


class Skipped(Exception):
    """A recipe that cannot be used here; the message says why."""


def parse_window(text: str) -> Window:
    """A window as text: `500` are rows, `14d` are days. Raises ValueError."""
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a window; give a number of rows such as 500, or of days such as 14d")
    if found["rows"]:
        return Window(rows=int(found["rows"]))
    return Window(time=timedelta(days=int(found["days"])))


def recipes(count: int, window: Window | None = None) -> list[Recipe]:
    """The recipes for so many examples. Without a given window the windows are all rows of the log, their newest half,
    quarter, and so on, of at least 100 rows."""
    found = [Recipe(ALL), Recipe(WEIGHTED, is_weighted=True)]
    if window is not None:
        size = f"{window.rows} rows" if window.time is None else f"{window.time.days} days"
        return [*found, Recipe(f"the newest {size}", window=window, has_base=False)]
    return [*found, *_halves(count)]


def _halves(count: int) -> Iterator[Recipe]:
    size = count
    for _ in range(_MOST_WINDOWS):
        if size < _LEAST_WINDOW:
            return
        yield Recipe(f"the newest {size} rows", start=count - size, has_base=False)
        size //= 2


def recency_weights(base: int, count: int) -> Array:
    """Weights of `base` rows from outside of the log and `count` examples in the order of time, of shape (base +
    count,). The weight halves with each quarter of the examples, from 1 for the newest; base rows have the least, about
    1/16."""
    newest_first = np.arange(count)[::-1]
    of_examples = 0.5 ** (_HALF_LIVES * newest_first / max(count, 1))
    return np.concatenate([np.full(base, 0.5**_HALF_LIVES), of_examples])


def choose(
    tried: Sequence[Recipe], fit: Fit, task: Task, signature: Any, training: Examples, chooses: Examples
) -> Iterator[Candidate]:
    """Fits each recipe on `training` and gives its candidate. It is skipped if it cannot be fitted, and if it does not
    beat the best constant on the rows `chooses`. Raises MemoryError."""
    truth = truth_array(task, chooses.truths)
    constant = constant_loss(task, truth)
    for recipe in tried:
        try:
            fitted = fit(recipe, training)
            outputs = outputs_of(Model(fitted.pipeline, task, signature), chooses.rows)
            loss = float(row_losses(task.kind, truth, positive_of(task, outputs), _positive(task), "candidate").mean())
        except Skipped as error:
            yield Candidate(recipe, skipped=str(error))
        except MemoryError:  # of this machine now, not of the recipe
            raise
        except (DumpError, GateError) as error:
            yield Candidate(recipe, skipped=str(error))
        except Exception as error:  # noqa: BLE001 - a pipeline may raise anything
            # The message may hold values of rows, and what is said here is stored, where nothing erases it.
            yield Candidate(recipe, skipped=f"it cannot be fitted ({type(error).__name__})")
        else:
            is_better = loss < constant
            reason = None if is_better else f"it does not beat a constant, whose loss is {constant:.4g}"
            yield Candidate(recipe, fitted.rows, loss, reason)


def best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate with the least loss, or None if all were skipped."""
    left = [each for each in candidates if each.skipped is None and each.loss is not None]
    return min(left, key=lambda each: each.loss or 0.0, default=None)


def constant_loss(task: Task, truth: Array) -> float:
    """The mean loss of the best constant answer to n rows: the shares of the classes, or the mean."""
    if task.kind == "regression":
        return float(((truth - truth.mean()) ** 2).mean())
    shares = np.bincount(truth, minlength=len(task.classes)) / len(truth)
    gini = float(1 - (shares**2).sum())
    return gini / 2 if task.kind == "binary" else gini


def outputs_of(model: Model, rows: Sequence[Row]) -> Outputs:
    """The outputs for n rows, some at a time."""
    parts = [model.outputs(rows[i : i + _ROWS_AT_ONCE]) for i in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate(parts)


def positive_of(task: Task, outputs: Outputs) -> Array:
    """The outputs as the gate takes them: of the positive class, of all classes, or the values."""
    if task.kind == "multiclass":
        return outputs
    return outputs[:, 0 if task.kind == "regression" else task.positive_index]


def _positive(task: Task) -> int:
    return task.positive_index if task.kind == "binary" else 0
