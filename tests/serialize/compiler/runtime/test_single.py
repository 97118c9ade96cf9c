"""Functions in single precision."""

import numpy as np

from serialize.compiler.runtime.single import exp_single, expit_single, log_single, softmax_single

NUMBERS = np.linspace(-80, 80, 1001, dtype=np.float32).reshape(-1, 7)


def test_values_are_the_nearest_floats_or_beside_them() -> None:
    """The C library is at most one unit in the last place off."""
    exact, positive = NUMBERS.astype(np.float64), np.abs(NUMBERS) + np.float32(1)
    np.testing.assert_array_max_ulp(exp_single(NUMBERS), np.exp(exact).astype(np.float32), 1)
    np.testing.assert_array_max_ulp(log_single(positive), np.log(positive.astype(np.float64)).astype(np.float32), 1)
    np.testing.assert_allclose(expit_single(NUMBERS), 1 / (1 + np.exp(-exact)), rtol=3e-7)
    assert expit_single(NUMBERS).dtype == np.float32


def test_huge_scores_give_no_overflow() -> None:
    """The logistic function is constant below -88.7."""
    low, high = expit_single(np.array([-3e38, 3e38], np.float32))
    assert low == expit_single(np.array([-88.7], np.float32))[0] > 0
    assert high == 1


def test_the_softmax_of_a_row_sums_to_one() -> None:
    """The largest score is subtracted before."""
    proba = softmax_single(NUMBERS * 1e3)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(proba.argmax(axis=1), np.full(len(NUMBERS), 6))
