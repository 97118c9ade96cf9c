"""The intervals are those of their sources and have the stated coverage."""

import math

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from service.monitoring.intervals import (
    MetricValue,
    auc_interval,
    draws,
    f1_interval,
    mean,
    mean_of,
    proportion,
    resampled,
)
from service.monitoring.score_counts import ScoreCounts

RNG = np.random.default_rng(0)

# The probability that any test of this module fails for a seed although the intervals are right: it is shared by the
# two bounds of each of the six tests of coverage.
_TOLERATED = 1e-6
_BOUNDS = 12


def covers(figure: MetricValue, truth: float) -> bool:
    assert figure.low is not None
    assert figure.high is not None
    return figure.low <= truth <= figure.high


def test_a_share_has_the_interval_of_wilson() -> None:
    figure = proportion(81, 263)

    assert figure.value == 81 / 263
    assert figure.low == pytest.approx(0.2553, abs=5e-5)  # Newcombe 1998, table I, method 3
    assert figure.high == pytest.approx(0.3662, abs=5e-5)


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (20, 20), (1, 1), (0, 1)])
def test_a_share_at_the_edge_keeps_an_interval_within_bounds(hits: int, trials: int) -> None:
    figure = proportion(hits, trials)

    assert figure.low is not None
    assert figure.high is not None
    assert 0 <= figure.low < figure.high <= 1


def test_no_rows_have_no_value() -> None:
    assert proportion(0, 0) == mean(0.0, 0.0, 0) == mean_of([]) == f1_interval(0, 0) == MetricValue()


def test_one_row_has_a_mean_and_no_interval() -> None:
    assert mean(2.0, 0.0, 1) == MetricValue(2.0, None, None)


def test_a_mean_has_the_interval_of_student() -> None:
    numbers = [1.0, 2.0, 4.0, 9.0]

    found = mean(16.0, 38.0, 4)  # 9 + 4 + 0 + 25

    expected = ttest_1samp(numbers, 0.0).confidence_interval(0.95)
    assert found.value == 4.0
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_value_that_is_not_finite_is_undefined() -> None:
    assert MetricValue.of(math.nan, 0, 1) == MetricValue.of(math.inf, 0, 1) == MetricValue()


def assert_covered(hits: int, trials: int) -> None:
    """Fails where intervals that cover the truth in 93 to 97.5 % of all samples (what approximate intervals of 95 %
    reach in samples of this size) would have so few or so many hits less often than _TOLERATED allows."""
    fewest, most = binom.ppf(_TOLERATED / _BOUNDS, trials, 0.93), binom.isf(_TOLERATED / _BOUNDS, trials, 0.975)

    assert fewest <= hits <= most, f"{hits} of {trials}, allowed are {fewest:g} to {most:g}"


def test_95_percent_of_the_f1_intervals_cover_the_truth() -> None:
    samples = RNG.multinomial(80, [0.4, 0.25, 0.35], size=5000).tolist()

    assert_covered(sum(covers(f1_interval(tp, errors), 0.8 / (0.8 + 0.25)) for tp, errors, _ in samples), len(samples))


def test_95_percent_of_the_intervals_of_a_mean_of_shares_cover_the_truth() -> None:
    samples = RNG.binomial([30, 50], [0.9, 0.6], size=(5000, 2)).tolist()
    figures = [mean_of([proportion(one, 30), proportion(other, 50)]) for one, other in samples]

    assert_covered(sum(covers(figure, 0.75) for figure in figures), len(figures))


def scored(count: int) -> ScoreCounts:
    """Calibrated probabilities from two normal distributions of scores, one unit apart."""
    truth = RNG.random(count) < 0.4
    score = RNG.normal(truth.astype(float), 1.0)
    odds = np.log(0.4 / 0.6) + score - 0.5
    return ScoreCounts.of(1 / (1 + np.exp(-odds)), truth)


@pytest.fixture(scope="module")
def samples() -> list[dict[str, MetricValue]]:
    """The metrics of many samples of 300 rows, and at the end those of a sample large enough to give the truth."""
    return [scored(size).metrics() for size in [300] * 1000 + [2_000_000]]


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "log_loss", "brier_score"])
def test_95_percent_of_the_intervals_cover_the_truth(samples: list[dict[str, MetricValue]], name: str) -> None:
    *figures, truth = (sample[name] for sample in samples)

    assert truth.value is not None
    assert_covered(sum(covers(figure, truth.value) for figure in figures), len(figures))


def test_perfectly_separated_classes_still_have_an_interval() -> None:
    figure = ScoreCounts.of(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])).metrics()["roc_auc"]

    assert (figure.value, figure.high) == (1.0, 1.0)
    assert figure.low is not None
    assert 0.2 < figure.low < 0.7
    assert auc_interval(0.0, 2, 2).high == pytest.approx(1 - figure.low)


def test_the_bootstrap_resamples_rows_and_is_reproducible() -> None:
    counts = np.array([[30, 10], [5, 55]])
    (figure,) = resampled([0.85], (draws(counts)[:, [0, 1], [0, 1]].sum(axis=1) / 100)[:, None])

    wilson = proportion(85, 100)
    assert figure == resampled([0.85], (draws(counts)[:, [0, 1], [0, 1]].sum(axis=1) / 100)[:, None])[0]
    assert figure.low == pytest.approx(wilson.low, abs=0.02)
    assert figure.high == pytest.approx(wilson.high, abs=0.02)
