"""Whether a difference is more than p_value: tests, and their correction where many are made at once."""

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, bdtrc, chdtrc, kolmogorov, ndtr

from service.monitoring.intervals import Array


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for their number (Holm 1979), whatever depends on what; None stays and does not count."""
    order = sorted((i for i, p_value in enumerate(p_values) if p_value is not None), key=lambda i: p_values[i] or 0.0)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (p_values[i] or 0.0) * (len(order) - rank)))
        corrected[i] = least
    return corrected


def welch_test(one: Array, other: Array) -> tuple[float, float]:
    """The difference of two samples' means and its p value, by a normal test with both variances (Welch 1947)."""
    difference = float(one.mean() - other.mean())
    variance = one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)
    if not variance > 0:
        return difference, float(difference == 0)
    return difference, float(2 * ndtr(-abs(difference) / np.sqrt(variance)))


def chi2_pvalue(live: Array, reference: Array) -> float:
    """The p value that two samples of counts by category, of shape (k,), have one distribution (Pearson 1900).
    Categories of fewer than five expected rows in either sample are taken together (Cochran 1954)."""
    table = _pooled(np.vstack([live, reference]).astype(float))
    if table.shape[1] < 2:
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(chdtrc(table.shape[1] - 1, float(((table - expected) ** 2 / expected).sum())))


def two_proportion_pvalue(live: int, rows: int, reference: int, reference_rows: int) -> float:
    """The p value that two samples have one share: chi-squared, and where fewer than five are expected the exact
    binomial test of the rare ones' total (Przyborowski and Wilenski 1940)."""
    both, all_rows = live + reference, rows + reference_rows
    if min(both, all_rows - both) * min(rows, reference_rows) >= 5 * all_rows:
        return chi2_pvalue(np.array([live, rows - live]), np.array([reference, reference_rows - reference]))
    if both * 2 > all_rows:
        live, both = rows - live, all_rows - both
    share = rows / all_rows
    return float(min(1.0, 2 * min(bdtr(live, both, share), bdtrc(live - 1, both, share) if live else 1.0)))


def binomial_pvalue(live: int, rows: int, share: float) -> float:
    """The p value of so many rows or more where each is one with this p_value: the exact binomial test."""
    return float(bdtrc(live - 1, rows, share)) if live else 1.0


def ks_pvalue(distance: float, rows: float) -> float:
    """The p value of a Kolmogorov-Smirnov distance between samples of n and m rows, with n m / (n + m) as `rows`:
    Kolmogorov's limit with the correction of Stephens (1970)."""
    root = np.sqrt(rows)
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


def _pooled(table: Array) -> Array:
    sizes = table.sum(axis=1)
    table = table[:, table.sum(axis=0) > 0]
    table = table[:, np.argsort(-table.sum(axis=0))]
    least = table.sum(axis=0) * sizes.min() / sizes.sum()
    kept = int((least >= 5).sum())
    if kept == table.shape[1]:
        return table
    rest = table[:, kept:].sum(axis=1, keepdims=True)
    if rest.sum() * sizes.min() / sizes.sum() < 5 and kept:
        kept -= 1
        rest = table[:, kept:].sum(axis=1, keepdims=True)
    return np.hstack([table[:, :kept], rest])
