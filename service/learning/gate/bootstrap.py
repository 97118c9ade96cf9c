"""The interval of a mean by the studentised bootstrap (Efron 1982; Hall 1988). Its tails stay right at small levels and
for skewed values, where percentiles of the means are too narrow.

Each bound is the outer one of the equal-tailed and the symmetric interval. If two models differ on a few rows only, the
equal-tailed interval alone is above or below 0 up to three times as often as it should be.

The seed is fixed and the order of the rows does not matter, so the same rows always have the same interval."""

import math

import numpy as np
import pandas as pd
from scipy.special import ndtri

from service.monitoring.intervals import Array
from service.pacing import give_way

# More units than this are merged at random into so many blocks. The sums of random blocks are independent and equally
# distributed, and their mean has the same skewness. The standard error comes from all units in any case.
MOST_UNITS = 2048

_SEED = 20_240_229
_LEAST_DRAWS = 10_000
_MOST_DRAWS = 400_000
_IN_TAIL = 20  # draws beyond each bound
_DRAWN_AT_ONCE = 50_000  # counts: few enough for the cache of a processor
_ROUNDING = 1e-12


def mean_interval(values: Array, clusters: Array | None, level: float) -> tuple[float, float]:
    """The two-sided interval of the mean of n finite values that misses it with probability `level`. Rows of one
    cluster, of shape (n,), are drawn together. A bound is infinite if the values do not determine it, as with a single
    cluster."""
    if not len(values):
        return -math.inf, math.inf
    scale = float(np.abs(values).max()) or 1.0
    sums, sizes = units(values / scale, clusters)
    mean = float(sums.sum() / sizes.sum())
    error = standard_error(sums, sizes)
    if len(sums) < 2:
        return -math.inf, math.inf
    if error <= _ROUNDING * abs(mean):
        return mean * scale, mean * scale
    low, high = _critical(*_blocks(sums, sizes), level)
    return (mean - high * error) * scale, (mean - low * error) * scale


def units(values: Array, clusters: Array | None) -> tuple[Array, Array]:
    """What is drawn: the sum and the number of rows of each cluster, or the rows themselves, ordered by value. Rows
    without a cluster (None or NaN) are one cluster."""
    sums: Array = values.astype(np.float64)
    sizes: Array = np.ones(len(values))
    if clusters is not None:
        codes, names = pd.factorize(clusters, use_na_sentinel=False)
        order = np.lexsort((values, codes))  # the sum of a cluster does not depend on the order of its rows
        sums = np.bincount(codes[order], sums[order], len(names))
        sizes = np.bincount(codes, minlength=len(names)).astype(np.float64)
    order = np.lexsort((sizes, sums))
    return sums[order], sizes[order]


def cluster_count(clusters: Array) -> int:
    """The number of clusters, as `units` tells them apart."""
    return len(pd.factorize(clusters, use_na_sentinel=False)[1])


def standard_error(sums: Array, sizes: Array) -> float:
    """The standard error of the mean of all rows of m units (of a ratio of two sums: Cochran 1977, chapter 6)."""
    count, total = len(sums), sizes.sum()
    if count < 2:
        return math.inf
    residuals = sums - sums.sum() / total * sizes
    return float(math.sqrt(residuals @ residuals * count / (count - 1)) / total)


def _blocks(sums: Array, sizes: Array) -> tuple[Array, Array]:
    count = len(sums)
    if count <= MOST_UNITS:
        return sums, sizes
    order = np.random.default_rng(_SEED).permutation(count)
    starts = np.arange(MOST_UNITS) * count // MOST_UNITS
    return np.add.reduceat(sums[order], starts), np.add.reduceat(sizes[order], starts)


def _critical(sums: Array, sizes: Array, level: float) -> tuple[float, float]:
    """The lower and upper critical value of the studentised mean. Below the level that the most draws can show, the
    values grow as those of the normal distribution do."""
    shown = max(level, 2 * _IN_TAIL / _MOST_DRAWS)
    draws = max(_LEAST_DRAWS, math.ceil(2 * _IN_TAIL / shown))
    studentised = np.sort(_studentised(sums, sizes, draws))
    place = max(0, int(shown / 2 * (draws + 1)) - 1)
    both_sides = float(np.sort(np.abs(studentised))[-1 - max(0, int(shown * (draws + 1)) - 1)])
    wider = float(ndtri(level / 2) / ndtri(shown / 2))
    low, high = float(studentised[place]), float(studentised[-1 - place])
    return min(low, -both_sides) * wider, max(high, both_sides) * wider


def _studentised(sums: Array, sizes: Array, draws: int) -> Array:
    """The studentised mean of each draw, of shape (draws,); infinite where a draw has no variation."""
    count = len(sums)
    residuals = sums - sums.sum() / sizes.sum() * sizes
    columns = np.column_stack([residuals, sizes, residuals**2, residuals * sizes, sizes**2])
    rng = np.random.default_rng(_SEED)
    at_once = max(1, _DRAWN_AT_ONCE // count)
    totals = np.concatenate(
        [_times(rng, min(at_once, draws - done), count) @ columns for done in range(0, draws, at_once)]
    )
    total, rows, squares, products, squared_sizes = totals.T
    mean = total / rows
    variance = (squares - 2 * mean * products + mean**2 * squared_sizes) * count / (count - 1)
    variance[variance <= _ROUNDING * squares] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total == 0, 0.0, total / np.sqrt(variance))


def _times(rng: np.random.Generator, draws: int, count: int) -> Array:
    """How often each of `count` units is drawn, of shape (draws, count)."""
    give_way()  # in a report, after each part
    drawn = rng.integers(0, count, (draws, count))
    drawn += np.arange(draws)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float64)
