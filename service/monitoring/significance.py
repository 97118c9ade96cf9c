"""Significance tests, and the correction of their p-values if several tests are made at once."""

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, bdtrc, chdtrc, kolmogorov, ndtr

from service.monitoring.intervals import Array


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm-corrected p-values, valid under any dependence (Holm 1979). None is kept and not counted as a test."""
    tests = sorted((p_value, i) for i, p_value in enumerate(p_values) if p_value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p_value, i) in enumerate(tests):
        corrected[i] = largest = max(largest, min(1.0, p_value * (len(tests) - rank)))
    return corrected


def welch_test(one: Array, other: Array) -> tuple[float, float]:
    """The difference of the means of two samples and its p-value: a normal test with unequal variances (Welch 1947)."""
    difference = float(one.mean() - other.mean())
    variance = one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)
    if not variance > 0:
        return difference, float(difference == 0)
    return difference, float(2 * ndtr(-abs(difference) / np.sqrt(variance)))


def chi2_pvalue(live: Array, reference: Array) -> float:
    """The p-value of the chi-squared test that two samples, as counts of shape (k,), have the same distribution
    (Pearson 1900). Categories with fewer than five expected rows in either sample are merged (Cochran 1954)."""
    table = _pooled(np.vstack([live, reference]).astype(float))
    if table.shape[1] < 2:
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(chdtrc(table.shape[1] - 1, float(((table - expected) ** 2 / expected).sum())))


def two_proportion_pvalue(live: int, rows: int, reference: int, reference_rows: int) -> float:
    """The p-value that two samples have the same share: chi-squared, or the exact conditional binomial test if fewer
    than five rows are expected (Przyborowski and Wilenski 1940)."""
    both, all_rows = live + reference, rows + reference_rows
    if min(both, all_rows - both) * min(rows, reference_rows) >= 5 * all_rows:
        return chi2_pvalue(np.array([live, rows - live]), np.array([reference, reference_rows - reference]))
    if both * 2 > all_rows:
        live, both = rows - live, all_rows - both
    share = rows / all_rows
    return float(min(1.0, 2 * min(bdtr(live, both, share), bdtrc(live - 1, both, share))))


def binomial_pvalue(live: int, rows: int, share: float) -> float:
    """The p-value of `live` or more successes in `rows` trials of probability `share` (exact binomial test)."""
    return float(bdtrc(live - 1, rows, share))


def ks_pvalue(distance: float, rows: float) -> float:
    """The p-value of a Kolmogorov-Smirnov distance between samples of n and m rows, where `rows` is n m / (n + m):
    Kolmogorov's limit with the correction of Stephens (1970)."""
    root = np.sqrt(rows)
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


def _pooled(table: Array) -> Array:
    sizes = table.sum(axis=1)
    table = table[:, table.sum(axis=0) > 0]
    table = table[:, np.argsort(-table.sum(axis=0))]
    totals = table.sum(axis=0)
    kept = int((totals * sizes.min() / sizes.sum() >= 5).sum())
    if kept == len(totals):
        return table
    if totals[kept:].sum() * sizes.min() / sizes.sum() < 5:
        kept = max(0, kept - 1)
    return np.hstack([table[:, :kept], table[:, kept:].sum(axis=1, keepdims=True)])
