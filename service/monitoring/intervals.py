"""Metric values with 95 % intervals. Each function names its method and the source."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

Array = np.ndarray[Any, np.dtype[Any]]

LEVEL = 0.95
Z = 1.959963984540054

_DRAWS = 1_000
_MOST_DRAWN = 2_000_000


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A value with the bounds of its interval; each is None if the rows do not define it."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, low: float, high: float) -> "MetricValue":
        """Replaces numbers that are not finite by None, and widens the interval to include the value."""
        if not math.isfinite(value):
            return cls()
        bounds = (min(low, value), max(high, value))
        return cls(float(value), *(float(bound) if math.isfinite(bound) else None for bound in bounds))

    def transformed(self, function: Callable[[float], float]) -> "MetricValue":
        """The value and bounds under an increasing function."""
        numbers = (None if number is None else function(number) for number in (self.value, self.low, self.high))
        return MetricValue(*numbers)


def proportion(successes: float, trials: float) -> MetricValue:
    """A share with its score interval (Wilson 1927; recommended by Brown, Cai and DasGupta 2001)."""
    if trials <= 0:
        return MetricValue()
    share = successes / trials
    centre = (share + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = Z / (1 + Z**2 / trials) * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    return MetricValue.of(share, max(0.0, centre - half), min(1.0, centre + half))


def mean_of(shares: Sequence[MetricValue]) -> MetricValue:
    """The mean of independent shares, its interval recovered from theirs (Zou and Donner 2008)."""
    known = [(one.value, one.low or 0.0, one.high or 0.0) for one in shares if one.value is not None]
    if not known:
        return MetricValue()
    value = sum(share for share, _, _ in known) / len(known)
    below = math.sqrt(sum((share - low) ** 2 for share, low, _ in known)) / len(known)
    above = math.sqrt(sum((high - share) ** 2 for share, _, high in known)) / len(known)
    return MetricValue.of(value, max(0.0, value - below), min(1.0, value + above))


def f1_interval(hits: float, misses: float) -> MetricValue:
    """F1 from the true positives and the false positives and negatives together. It is 2J/(1 + J) for the Jaccard index
    J = hits / (hits + misses), and its bounds follow from Wilson's interval of J."""
    return proportion(hits, hits + misses).transformed(lambda share: 2 * share / (1 + share))


def mean(total: float, squares: float, count: float, *, least: float = -math.inf) -> MetricValue:
    """The mean of `count` numbers from their sum and sum of squared deviations, with Student's interval (1908)."""
    if count < 1:
        return MetricValue()
    value = total / count
    if count < 2:
        return MetricValue.of(value, math.nan, math.nan)
    half = stdtrit(count - 1, 0.5 + LEVEL / 2) * math.sqrt(max(0.0, squares) / (count - 1) / count)
    return MetricValue.of(value, max(least, value - half), value + half)


def on_logit(value: float, variance: float) -> MetricValue:
    """A value strictly between 0 and 1 of known variance, with its interval on the logit scale."""
    half = Z * math.sqrt(variance) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return MetricValue.of(value, _expit(centre - half), _expit(centre + half))


def auc_interval(value: float, positives: float, negatives: float) -> MetricValue:
    """ROC AUC with a score interval on Hanley and McNeil's variance (Newcombe 2006, method 5). It holds for a perfect
    separation of the classes too, for which DeLong's variance is 0."""

    def distance(truth: float) -> float:
        size = (positives + negatives) / 2 - 1
        spread = 1 + size * ((1 - truth) / (2 - truth) + truth / (1 + truth))
        return abs(value - truth) - Z * math.sqrt(truth * (1 - truth) * spread / (positives * negatives))

    low = _root(distance, 0.0, value) if distance(0.0) > 0 else 0.0
    high = _root(distance, 1.0, value) if distance(1.0) > 0 else 1.0
    return MetricValue.of(value, low, high)


def resampled(values: Sequence[float], samples: Array) -> list[MetricValue]:
    """k values with the percentiles of their bootstrap samples, of shape (draws, k) (Efron 1979)."""
    tail = (1 - LEVEL) / 2
    bounds = np.quantile(samples, [tail, 1 - tail], axis=0)
    return [MetricValue.of(value, *found) for value, found in zip(values, bounds.T.tolist(), strict=True)]


def draws(counts: Array) -> Array:
    """Bootstrap samples of a table of counts, of shape (draws, *counts.shape), equivalent to resampling the rows. The
    seed is fixed, so that the same rows have the same interval."""
    size = max(200, min(_DRAWS, _MOST_DRAWN // counts.size))
    flat = counts.reshape(-1).astype(float)
    total = int(flat.sum())
    drawn = np.random.default_rng(0).multinomial(total, flat / flat.sum(), size=size)
    return drawn.reshape(size, *counts.shape)


def _expit(number: float) -> float:
    return 1 / (1 + math.exp(-number)) if number > -700 else 0.0


def _root(function: Callable[[float], float], outside: float, inside: float) -> float:
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if function(middle) > 0 else (outside, middle)
    return (outside + inside) / 2
