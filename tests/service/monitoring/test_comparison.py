"""A large sample has drifted only if the distance exceeds the noise floor, which chance alone may reach."""

import math
from typing import Any

import numpy as np
import pytest

from service.monitoring.comparison import LARGE, Change, compare, compare_numbers

TESTS = 20


def numbers_profile(numbers: Any) -> dict[str, Any]:
    """The profile of numbers: its percentiles and ten bins."""
    counts, edges = np.histogram(numbers, bins=10)
    quantiles = np.quantile(numbers, np.linspace(0, 1, 101))
    return {"quantiles": quantiles.tolist(), "bins": {"edges": edges.tolist(), "counts": counts.tolist()}}


def category_profile(**counts: int) -> dict[str, Any]:
    listed = [{"value": value, "count": count} for value, count in counts.items()]
    return {"count": sum(counts.values()), "null_rate": 0.0, "counts": listed}


@pytest.mark.parametrize(("rows", "reference_rows"), [(500, 1309), (20_000, 100)])
def test_the_noise_floor_of_numbers_is_that_of_dvoretzky_kiefer_wolfowitz(rows: int, reference_rows: int) -> None:
    profile = numbers_profile(np.linspace(0, 1, reference_rows))

    found = compare_numbers(profile, np.linspace(0, 1, rows), reference_rows, TESTS)

    noise = found.statistics["noise_floor"]
    size = rows * reference_rows / (rows + reference_rows)
    assert 2 * math.exp(-2 * size * noise**2) == pytest.approx(0.01 / TESTS)  # Massart 1990: P(distance > noise)
    assert found.changes[0].noise_floor == noise


@pytest.mark.parametrize(("rows", "reference_rows"), [(500, 1000), (20_000, 100)])
def test_the_noise_floor_of_categories_is_that_of_bretagnolle_huber_carol(rows: int, reference_rows: int) -> None:
    profile = category_profile(a=reference_rows // 2, b=reference_rows // 2)

    found = compare("category", profile, ["a"] * (rows // 2) + ["b"] * (rows // 2), TESTS)

    noise = found.statistics["noise_floor"]
    size = rows * reference_rows / (rows + reference_rows)
    # Three cells: the two categories, and all others. P(distance > noise) of the total variation distance.
    assert 2**3 * math.exp(-2 * size * noise**2) == pytest.approx(0.01 / TESTS)
    assert next(change.noise_floor for change in found.changes if change.name == "distribution") == noise


def test_datetimes_are_compared_as_seconds_and_other_values_of_a_log_are_left_out() -> None:
    profile = {"count": 100, "null_rate": 0.0, **numbers_profile(np.arange(100) * 86_400.0)}
    days = [f"1970-0{month}-{day:02}" for month in (1, 2, 3) for day in range(1, 29)]

    found = compare("datetime", profile, [*days, "1969-12-31T23:59:59Z", "yesterday", 7, None], TESTS)

    assert found.counts is not None
    assert (found.counts.live.sum(), found.counts.below, found.counts.above) == (85, 1, 0)
    assert found.statistics["out_of_range_rate"] == 1 / 85
    assert compare("datetime", profile, ["yesterday"], TESTS).counts is None


def test_chance_alone_stays_below_the_noise_floor() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        reference = rng.normal(size=200)
        found = compare_numbers(numbers_profile(reference), rng.normal(size=LARGE), 200, TESTS)
        assert found.statistics["distance"] < found.statistics["noise_floor"]
        assert found.changes[0].verdict(None) == "ok"


def shifted(share: float) -> str:
    """The verdict on a large sample in which this share of the rows has moved from one category to the other, against
    a reference of 100 rows, whose noise floor is beyond the least distance that matters."""
    moved = round(LARGE * (0.5 - share))
    found = compare("category", category_profile(a=50, b=50), ["a"] * moved + ["b"] * (LARGE - moved), TESTS)
    change = next(change for change in found.changes if change.name == "distribution")
    assert change.p_value is None
    assert 0.1 < change.noise_floor < 0.3
    return change.verdict(None)


def test_a_large_sample_has_drifted_only_beyond_the_noise_floor() -> None:
    assert shifted(0.15) == "ok"
    assert shifted(0.35) == "drifted"


def test_a_noise_floor_below_the_least_size_that_matters_does_not_lower_it() -> None:
    assert Change("distribution", 0.09, None, noise_floor=0.02).verdict(None) == "ok"
    assert Change("distribution", 0.1, None, noise_floor=0.02).verdict(None) == "drifted"
    assert Change("distribution", 0.19, None, noise_floor=0.2).verdict(None) == "ok"
    assert Change("distribution", 0.2, None, noise_floor=0.2).verdict(None) == "drifted"


@pytest.mark.parametrize("kind", ["number", "integer", "text", "category", "boolean", "datetime"])
def test_a_profile_of_no_rows_is_compared_with_nothing(kind: str) -> None:
    found = compare(kind, {"count": 0, "null_rate": 0.0}, [None, None], TESTS)

    assert (found.changes, found.counts) == ([], None)
    assert found.statistics == {"kind": kind, "count": 2, "null_rate": 1.0}
