"""The significance tests give the p-values of their sources."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from service.monitoring.significance import (
    binomial_pvalue,
    chi2_pvalue,
    holm,
    ks_pvalue,
    two_proportion_pvalue,
)


def binomial(hits: range, trials: int, share: float) -> float:
    """The exact probability of a number of hits in this range, term by term."""
    chance = Fraction(share)
    return float(sum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in hits))


def two_sided(live: int, both: int, share: float) -> float:
    """Twice the smaller tail, and at most 1."""
    tails = binomial(range(live + 1), both, share), binomial(range(live, both + 1), both, share)
    return min(1.0, 2 * min(tails))


@pytest.mark.parametrize(
    ("live", "rows", "reference", "reference_rows"),
    [(3, 100, 0, 1000), (0, 100, 6, 1000), (1, 1000, 8, 900), (4, 50, 1, 5000), (2, 30, 2, 30), (9, 1000, 0, 1000)],
)
def test_rare_shares_are_compared_by_the_exact_binomial_test(
    live: int, rows: int, reference: int, reference_rows: int
) -> None:
    expected = two_sided(live, live + reference, rows / (rows + reference_rows))

    assert two_proportion_pvalue(live, rows, reference, reference_rows) == pytest.approx(expected, rel=1e-9)
    # A property of almost every row is compared by the rows without it.
    most = (rows - live, rows, reference_rows - reference, reference_rows)
    assert two_proportion_pvalue(*most) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("reference", [0, 100])
def test_shares_of_none_or_of_all_rows_do_not_differ(reference: int) -> None:
    assert two_proportion_pvalue(reference // 2, 50, reference, 100) == 1.0


def test_shares_are_compared_by_chi_squared_from_five_expected_rows_on() -> None:
    five = stats.chi2_contingency([[4, 96], [6, 94]], correction=False).pvalue

    assert two_proportion_pvalue(4, 100, 6, 100) == pytest.approx(five, rel=1e-9)
    assert two_proportion_pvalue(3, 100, 6, 100) == pytest.approx(two_sided(3, 9, 0.5), rel=1e-9)


def test_the_exact_test_of_equal_shares_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.binomial([200, 1000], 0.004, size=(4000, 2)).tolist()

    rejected = sum(two_proportion_pvalue(live, 200, reference, 1000) < 0.05 for live, reference in drawn)

    # The test is conservative; 1e-6 is the probability that one of exactly 5 % is rejected more often than this.
    assert rejected <= stats.binom.isf(1e-6, len(drawn), 0.05)


@pytest.mark.parametrize(("live", "rows", "share"), [(1, 40, 0.001), (3, 40, 0.02), (40, 40, 0.9), (5, 300, 2 / 310)])
def test_the_binomial_p_value_is_exact(live: int, rows: int, share: float) -> None:
    assert binomial_pvalue(live, rows, share) == pytest.approx(binomial(range(live, rows + 1), rows, share), rel=1e-9)
    assert binomial_pvalue(live, rows, share) == pytest.approx(
        stats.binomtest(live, rows, share, alternative="greater").pvalue, rel=1e-9
    )


def test_the_binomial_p_value_of_no_success_is_one() -> None:
    assert binomial_pvalue(0, 40, 0.02) == 1.0


def test_p_values_are_corrected_by_the_number_of_tests_that_are_left() -> None:
    corrected = holm([0.01, None, 0.04, 0.03, 0.005])

    assert corrected == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06), pytest.approx(0.02)]
    assert holm([0.4, 0.6]) == [pytest.approx(0.8), pytest.approx(0.8)]


@pytest.mark.parametrize(("distance", "rows"), [(0.25, 20), (0.1, 100), (0.3, 30)])
def test_a_kolmogorov_smirnov_distance_has_nearly_the_exact_p_value(distance: float, rows: int) -> None:
    assert ks_pvalue(distance, rows) == pytest.approx(stats.kstwo.sf(distance, rows), abs=0.004)


def test_rare_categories_are_merged_with_the_next_ones_until_five_rows_are_expected() -> None:
    found = chi2_pvalue(np.array([50, 30, 10, 3, 1]), np.array([45, 28, 20, 2, 1]))

    merged = stats.chi2_contingency([[50, 30, 14], [45, 28, 23]], correction=False).pvalue
    assert found == pytest.approx(merged, rel=1e-9)
