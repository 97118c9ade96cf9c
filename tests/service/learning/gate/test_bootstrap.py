"""The interval of a mean keeps its level, does not depend on the order of the rows, and is quick for many rows."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.stats import t as student

from service.learning.gate.bootstrap import MOST_UNITS, mean_interval, standard_error, units
from service.learning.gate.levels import level


@pytest.mark.parametrize("rows", [200, MOST_UNITS + 1, 100_000])
@pytest.mark.parametrize("attempt", [1, 6])
def test_the_interval_of_normal_values_is_that_of_the_t_test(rows: int, attempt: int) -> None:
    values = np.random.default_rng(rows).normal(0.3, 2.0, rows)

    low, high = mean_interval(values, None, level(attempt))

    exact = student.interval(1 - level(attempt), rows - 1, values.mean(), values.std(ddof=1) / math.sqrt(rows))
    assert [low, high] == pytest.approx(list(exact), abs=0.06 * (exact[1] - exact[0]))


def test_a_level_below_what_the_most_draws_show_still_widens_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=50)

    widths = [high - low for low, high in (mean_interval(values, None, level) for level in (1e-4, 1e-6, 1e-8))]

    assert widths[0] < widths[1] < widths[2]


def test_the_same_rows_in_another_order_have_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(size=5_000), rng.integers(0, 60, 5_000)
    order = rng.permutation(5_000)

    assert mean_interval(values, None, 0.025) == mean_interval(values[order], None, 0.025)
    assert mean_interval(values, clusters, 0.025) == mean_interval(values[order], clusters[order], 0.025)


def test_clusters_are_drawn_by_their_sums_and_sizes() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(50), rng.integers(1, 20, 50))
    values = rng.normal(size=50)[clusters] + 0.1 * rng.normal(size=len(clusters))

    alone, together = mean_interval(values, None, 0.025), mean_interval(values, clusters, 0.025)

    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    sums, sizes = units(values, clusters)
    assert (sums.sum(), sizes.sum(), len(sums)) == (pytest.approx(values.sum()), len(values), 50)


def test_clusters_of_any_type_are_told_apart_and_rows_without_one_are_a_cluster() -> None:
    clusters = np.array(["a", None, "b", "a", None, 1], dtype=object)

    assert sorted(units(np.ones(6), clusters)[1].tolist()) == [1, 1, 2, 2]


def test_one_cluster_or_no_row_determines_no_bound() -> None:
    assert mean_interval(np.arange(9.0), np.zeros(9), 0.025) == (-math.inf, math.inf)
    assert mean_interval(np.zeros(0), None, 0.025) == (-math.inf, math.inf)
    assert standard_error(np.ones(1), np.ones(1)) == math.inf


def test_values_that_are_all_equal_have_an_interval_without_width() -> None:
    assert mean_interval(np.full(300, -0.1), None, 0.025) == pytest.approx((-0.1, -0.1))
    assert mean_interval(np.zeros(300), None, 0.025) == (0.0, 0.0)


def test_a_difference_on_three_rows_of_many_is_no_proof() -> None:
    values = np.zeros(300)
    values[:3] = -1.0

    assert mean_interval(values, None, 0.025)[1] > 0


def test_values_whose_squares_are_infinite_have_a_finite_interval() -> None:
    values = np.random.default_rng(0).normal(1.0, 1.0, 300)

    low, high = mean_interval(values * 1e200, None, 0.025)

    assert (low / 1e200, high / 1e200) == pytest.approx(mean_interval(values, None, 0.025))


def test_a_million_rows_take_little_memory() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000)

    tracemalloc.start()
    low, high = mean_interval(values, None, 0.025)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100 * 1024 * 1024
    assert (low, high) == pytest.approx((values.mean() - 0.00224, values.mean() + 0.00224), abs=2e-4)
