"""Compares one column of the log with its reference profile: statistics, and size and p-value of each change."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from serialize.formats.datetimes import seconds
from serialize.formats.words import unknown_share
from service.monitoring import significance
from service.monitoring.intervals import Array
from service.pacing import give_way

LARGE = 10_000
ALPHA = 0.01

# The possible changes, and the smallest size that matters, as a share of the rows.
CHANGES = {
    "nulls": 0.03,
    "distribution": 0.1,
    "unseen categories": 0.01,
    "out of range": 0.01,
    "unknown words": 0.1,
}

_RESOLUTION = 0.01  # the profile holds each hundredth of a distribution
_ROUNDING = 1e-6  # a relative error above that of single precision


@dataclass(frozen=True, slots=True)
class Change:
    """A possible change of a column: its size as a share of the rows, and its p-value. In a large sample the p-value of
    the distribution is None, and `noise_floor` is the size that chance alone may reach."""

    name: str
    size: float
    p_value: float | None
    noise_floor: float = 0.0

    def verdict(self, corrected: float | None) -> str:
        """ok, watch or drifted, by the p-value corrected for the number of tests and the smallest size that matters."""
        floor = CHANGES[self.name]
        if corrected is None:
            return "drifted" if self.size >= max(floor, self.noise_floor) else "ok"
        if corrected < ALPHA and self.size >= floor:
            return "drifted"
        return "watch" if corrected < 5 * ALPHA and self.size >= floor / 2 else "ok"


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts by category or bin, in the log and in the training data. Categories have `names`, and the last count is of
    all others. k bins have k + 1 `edges`; the outer bins include the `below` and `above` rows beyond them."""

    live: Array
    reference: Array
    names: Sequence[Any] | None = None
    edges: Sequence[float] | None = None
    below: int = 0
    above: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The statistics of a column as JSON, its possible changes, and the counts of its values without nulls."""

    statistics: dict[str, Any]
    changes: list[Change] = field(default_factory=list)
    counts: Counts | None = None


def compare(kind: str, profile: Mapping[str, Any], values: Sequence[Any], tests: int) -> Comparison:
    """Compares the JSON values of n rows, None for a null, with the profile of a column of this kind. A profile of no
    rows is compared with nothing. `tests` is the number of tests that are made at once."""
    present = [value for value in values if value is not None]
    rows, reference_rows = len(values), profile["count"]
    nulls, reference_nulls = rows - len(present), round(profile["null_rate"] * reference_rows)
    null_rate = nulls / rows if rows else None
    statistics = {"kind": kind, "count": rows, "null_rate": null_rate}
    if not reference_rows:
        return Comparison(statistics)
    statistics["reference_null_rate"] = profile["null_rate"]
    if null_rate is None:
        return Comparison(statistics)
    p_value = significance.two_proportion_pvalue(nulls, rows, reference_nulls, reference_rows)
    change = Change("nulls", abs(null_rate - profile["null_rate"]), p_value)
    shape = _shape(kind, profile, present, reference_rows - reference_nulls, tests)
    return Comparison({**statistics, **shape.statistics}, [change, *shape.changes], shape.counts)


def compare_numbers(profile: Mapping[str, Any], values: Array, reference_rows: int, tests: int) -> Comparison:
    """Compares numbers with the percentiles and bins of a profile of `reference_rows` numbers."""
    numbers = np.sort(values)
    quantiles, edges = profile["quantiles"], profile["bins"]["edges"]
    below, above = int((numbers < quantiles[0]).sum()), int((numbers > quantiles[-1]).sum())
    outside_rate = (below + above) / len(numbers)
    places = np.searchsorted(edges[1:-1], numbers, side="right")
    live = np.bincount(places, minlength=max(1, len(edges) - 1))
    distance = max(_distances(numbers, quantiles))
    size = _effective(len(numbers), reference_rows)
    noise_floor = _noise_floor(size, tests)
    large = len(numbers) >= LARGE
    p_value = None if large else significance.ks_pvalue(distance, size)
    reference = np.array(profile["bins"]["counts"])
    statistics = {
        "out_of_range_rate": outside_rate,
        "psi": _psi(live, reference),
        "distance": distance,
        "noise_floor": noise_floor,
        "test": "distance" if large else "Kolmogorov-Smirnov",
    }
    excess = significance.binomial_pvalue(below + above, len(numbers), 2 / (reference_rows + 1))
    changes = [Change("distribution", distance, p_value, noise_floor), Change("out of range", outside_rate, excess)]
    return Comparison(statistics, changes, Counts(live, reference, edges=edges, below=below, above=above))


def unrounded(profile: Mapping[str, Any], numbers: Array) -> Array:
    """The numbers, each replaced by the nearest value of the profile if it differs only by rounding. Otherwise the
    rounding of a compiled model or of single precision would move all rows that share a value."""
    known = [each["value"] for each in profile["values"]] if "values" in profile else profile["quantiles"]
    points = np.unique(np.array(known, dtype=float))
    with np.errstate(over="ignore"):
        above = np.searchsorted(points[1:] / 2 + points[:-1] / 2, numbers)
        nearest = points[above]
        size = np.minimum(np.abs(nearest), points[-1] - points[0]) if len(points) > 1 else np.abs(nearest)
        return np.where(np.abs(numbers - nearest) <= _ROUNDING * size, nearest, numbers)


def _shape(kind: str, profile: Mapping[str, Any], present: list[Any], reference_rows: int, tests: int) -> Comparison:
    """Compares the distribution of the values that are not null."""
    numeric = kind in ("integer", "number", "datetime")
    if kind == "datetime":
        present = [seconds(value) for value in present]
    if numeric:
        present = [value for value in present if isinstance(value, int | float)]
    if not present or not reference_rows:
        return Comparison({})
    if kind == "text":
        return _compare_texts(profile, list(map(str, present)), reference_rows, tests)
    if not numeric:
        return _compare_counts(profile["counts"], present, tests, closed=True)
    numbers = np.array(present, dtype=float)
    numbers = unrounded(profile, numbers) if kind == "number" else numbers
    found = compare_numbers(profile, numbers, reference_rows, tests)
    if "values" not in profile:
        return found
    counted = _compare_counts(profile["values"], numbers.tolist(), tests, closed=False)
    return Comparison({**found.statistics, **counted.statistics}, [*counted.changes, found.changes[1]], counted.counts)


def _compare_texts(profile: Mapping[str, Any], texts: Sequence[str], reference_rows: int, tests: int) -> Comparison:
    """Compares the lengths of texts, and the share of their words that the vocabulary of the profile lacks. Only more
    unknown words are a change: rows of the training data have fewer, because the vocabulary has theirs."""
    lengths = np.array(list(map(len, texts)), dtype=float)
    found = compare_numbers(profile["lengths"], lengths, reference_rows, tests)
    if "vocabulary" not in profile:
        return found
    vocabulary = frozenset(profile["vocabulary"].split(" "))
    shares = np.array([_unknown_share(text, vocabulary) for text in texts])
    reference = profile["unknown_words"]
    distance, _ = _distances(np.sort(shares), reference["quantiles"])
    size = _effective(len(shares), sum(reference["bins"]["counts"]))
    p_value = None if len(shares) >= LARGE else significance.ks_pvalue(distance, size)
    change = Change("unknown words", distance, p_value, _noise_floor(size, tests))
    rates = {"unknown_words_rate": float(shares.mean()), "reference_unknown_words_rate": reference["mean"]}
    return replace(found, statistics={**found.statistics, **rates}, changes=[*found.changes, change])


def _unknown_share(text: str, vocabulary: frozenset[str]) -> float:
    give_way()
    return unknown_share(text, vocabulary)


def _compare_counts(counts: Sequence[Mapping[str, Any]], present: list[Any], tests: int, *, closed: bool) -> Comparison:
    """Compares values with those of the training. If these are `closed`, an unseen value is a change of its own."""
    found = Counter(present)
    known = [each["value"] for each in counts]
    unseen = len(present) - sum(found[value] for value in known)
    live = np.array([*(found[value] for value in known), unseen])
    reference = np.array([*(each["count"] for each in counts), 0])
    rows, reference_rows = len(present), int(reference.sum())
    distance = float(np.abs(live / rows - reference / reference_rows).sum() / 2)
    noise_floor = math.sqrt((len(live) * math.log(2) - math.log(ALPHA / tests)) / 2 / _effective(rows, reference_rows))
    large = rows >= LARGE
    statistics = {
        "psi": _psi(live, reference),
        "distance": distance,
        "noise_floor": noise_floor,
        "test": "distance" if large else "chi-squared",
    }
    change = Change("distribution", distance, None if large else significance.chi2_pvalue(live, reference), noise_floor)
    compared = Counts(live, reference, names=known)
    if not closed:
        return Comparison(statistics, [change], compared)
    p_value = significance.two_proportion_pvalue(unseen, rows, 0, reference_rows)
    changes = [change, Change("unseen categories", unseen / rows, p_value)]
    return Comparison({"unseen_rate": unseen / rows, **statistics}, changes, compared)


def _distances(numbers: Array, quantiles: Sequence[float]) -> tuple[float, float]:
    """The one-sided Kolmogorov-Smirnov distances of the two distribution functions, for greater and for smaller numbers
    than in the profile. They are lower bounds: the profile has only percentiles."""
    points, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    above = (first + counts - 1) * _RESOLUTION
    below = first * _RESOLUTION
    upto = np.searchsorted(numbers, points, side="right") / len(numbers)
    before = np.searchsorted(numbers, points, side="left") / len(numbers)
    greater = max(0.0, (above - upto).max(), (below - _RESOLUTION - before).max())
    smaller = max(0.0, (upto - (above + _RESOLUTION)).max(), (before - below).max())
    return float(greater), float(smaller)


def _noise_floor(size: float, tests: int) -> float:
    return math.sqrt(-math.log(ALPHA / tests / 2) / 2 / size)


def _psi(live: Array, reference: Array) -> float:
    """The population stability index (Siddiqi 2006), with half a row added to each count so that it is finite."""
    one, other = ((counts + 0.5) / (counts + 0.5).sum() for counts in (live, reference))
    return float((one - other) @ np.log(one / other))


def _effective(rows: int, reference_rows: int) -> float:
    return rows * reference_rows / (rows + reference_rows)
