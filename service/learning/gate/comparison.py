"""The losses of two models on the same rows: the paired difference with its interval."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from serialize.task import TaskKind
from service.learning.gate.bootstrap import mean_interval
from service.learning.gate.losses import LOSS_NAMES, row_losses
from service.monitoring.intervals import Array


@dataclass(frozen=True, slots=True)
class LossDifference:
    """The mean losses of two models on the same rows. `difference` is that of the second minus that of the first, so a
    negative one says that the second is better. `low` and `high` bound it: they miss the true difference with
    probability `level`. A bound is infinite if the rows do not determine it; without rows all are NaN."""

    name: str
    rows: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    level: float

    def to_json(self, first: str, second: str) -> dict[str, Any]:
        """As JSON, with the mean losses under these names. What is not finite is null."""
        return {
            "loss": self.name,
            "rows": self.rows,
            first: finite(self.first),
            second: finite(self.second),
            "difference": finite(self.difference),
            "low": finite(self.low),
            "high": finite(self.high),
            "level": self.level,
        }


def compare_losses(
    kind: TaskKind,
    truth: Array,
    first: Array,
    second: Array,
    *,
    level: float,
    positive: int = 1,
    clusters: Array | None = None,
) -> LossDifference:
    """Compares the outputs of two models on the same n rows; the arrays are those of `Case`. Rows of one cluster are
    drawn together by the bootstrap. Raises GateError for rows that cannot be compared."""
    of_first = row_losses(kind, truth, first, positive, "first model")
    of_second = row_losses(kind, truth, second, positive, "second model")
    return difference_of(kind, of_first, of_second, level, clusters)


def difference_of(
    kind: TaskKind, first: Array, second: Array, level: float, clusters: Array | None = None
) -> LossDifference:
    """The same for the losses of n rows, of shape (n,)."""
    name, rows = LOSS_NAMES[kind], len(first)
    if not rows:
        nan = math.nan
        return LossDifference(name, rows, nan, nan, nan, nan, nan, level)
    low, high = mean_interval(second - first, clusters, level)
    return LossDifference(name, rows, _mean(first), _mean(second), _mean(second - first), low, high, level)


def _mean(numbers: Array) -> float:
    """The mean, with the same rounding for any order of the numbers."""
    return float(np.sort(numbers).mean())


def finite(number: float) -> float | None:
    """The number, or None if it is NaN or infinite, which JSON does not have."""
    return float(number) if math.isfinite(number) else None
