"""Guards: no large group of rows may get significantly worse."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from service.learning.gate.bootstrap import standard_error, units
from service.learning.gate.levels import ALPHA
from service.monitoring.intervals import Array
from service.monitoring.significance import holm

LEAST_ROWS = 100


@dataclass(frozen=True, slots=True)
class GuardedGroup:
    """The rows with one value of a guarded column: the mean difference of the losses, challenger minus champion, and
    the p-value that it is not above 0, corrected for the number of groups; None for a single cluster."""

    column: str
    value: Any
    rows: int
    difference: float
    p_value: float | None

    @property
    def is_worse(self) -> bool:
        """Whether the challenger is significantly worse in this group."""
        return self.p_value is not None and self.p_value < ALPHA

    def to_json(self) -> dict[str, Any]:
        """The group as JSON."""
        return {
            "column": self.column,
            "value": self.value,
            "rows": self.rows,
            "difference": self.difference,
            "p_value": self.p_value,
            "is_worse": self.is_worse,
        }


def guarded_groups(differences: Array, guards: Mapping[str, Array], clusters: Array | None) -> list[GuardedGroup]:
    """All groups of at least 100 rows of all guards, by the values of each column, of shape (n,). Each is tested by a
    one-sided t-test of its differences, or of the sums of its clusters; all together by Holm (1979)."""
    found = []
    for column, values in guards.items():
        codes, names = pd.factorize(values, use_na_sentinel=False)
        counts = np.bincount(codes, minlength=len(names))
        of_groups = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
        for place in np.flatnonzero(counts >= LEAST_ROWS).tolist():
            inside = of_groups[place]
            of_group = differences[inside]
            p_value = _p_value(of_group, clusters[inside] if clusters is not None else None)
            found.append((column, _json(names[place]), int(counts[place]), float(of_group.mean()), p_value))
    corrected = holm([p_value for *_, p_value in found])
    return [GuardedGroup(*group[:4], p_value) for group, p_value in zip(found, corrected, strict=True)]


def _p_value(differences: Array, clusters: Array | None) -> float | None:
    """The p-value that the mean is not above 0 (Student 1908)."""
    sums, sizes = units(differences, clusters)
    if len(sums) < 2:
        return None
    mean, error = float(sums.sum() / sizes.sum()), standard_error(sums, sizes)
    if not error > 0:
        return float(mean <= 0)
    return float(stdtr(len(sums) - 1, -mean / error))


def _json(value: Any) -> Any:
    """A value of a column as JSON has it: text, a number, a boolean or None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if isinstance(value, bool | int | float | str | None) else str(value)
