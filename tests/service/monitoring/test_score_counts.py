"""The metrics of probabilities are those of scikit-learn, with ties too."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as skm
from sklearn.calibration import calibration_curve

from service.monitoring.score_counts import ScoreCounts
from service.storage.column_cache import Rows

SOME = st.lists(
    st.tuples(st.sampled_from([0.0, 1e-18, 0.1, 0.25, 0.3, 0.5, 0.7, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(SOME)
def test_the_metrics_are_those_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    proba, truth = np.array([p for p, _ in rows]), np.array([y for _, y in rows])

    found = {name: figure.value for name, figure in ScoreCounts.of(proba, truth).metrics().items()}

    both = 0 < truth.sum() < len(truth)
    expected = {
        "log_loss": skm.log_loss(truth, proba, labels=[False, True]),
        "brier_score": skm.brier_score_loss(truth, proba, labels=[False, True], pos_label=True),
        "roc_auc": skm.roc_auc_score(truth, proba) if both else None,
        "average_precision": skm.average_precision_score(truth, proba) if both else None,
    }
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, abs=1e-9))


@given(SOME, st.lists(st.floats(0, 1), max_size=30))
def test_counts_by_level_are_those_of_the_rows(rows: list[tuple[float, bool]], others: list[float]) -> None:
    proba, truth = np.array([p for p, _ in rows]), np.array([y for _, y in rows])
    proba = np.where(proba == 1.0, np.nextafter(1.0, 2.0), proba)  # the sum of rounded probabilities
    levels = np.unique([*proba, *others, 1.0])
    none = np.zeros(len(rows), dtype=np.int64)
    log = Rows(none, none, none, none, none, none, proba, None, np.searchsorted(levels, proba), levels)

    found, expected = ScoreCounts.of_outputs(log, truth), ScoreCounts.of(proba.clip(0.0, 1.0), truth)

    for name in ("proba", "positives", "negatives"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


@given(SOME)
def test_the_bins_are_those_of_scikit_learn_and_the_brier_score_is_their_sum(rows: list[tuple[float, bool]]) -> None:
    proba, truth = np.array([p for p, _ in rows]), np.array([y for _, y in rows])
    cells = ScoreCounts.of(proba, truth)

    calibration = cells.calibration()

    assert calibration is not None
    filled = [one for one in calibration["bins"] if one["count"]]
    share, mean = calibration_curve(truth, proba, n_bins=10)
    assert [one["share"]["value"] for one in filled] == pytest.approx(share.tolist(), abs=1e-9)
    assert [one["mean_proba"] for one in filled] == pytest.approx(mean.tolist(), abs=1e-9)
    error = sum(one["count"] * abs(s - m) for one, s, m in zip(filled, share, mean, strict=True)) / len(rows)
    assert cells.metrics()["expected_calibration_error"].value == pytest.approx(error, abs=1e-9)
    parts = calibration["brier_score"]
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert whole == pytest.approx(np.mean((truth - proba) ** 2), abs=1e-12)


@given(SOME)
def test_every_metric_is_finite_and_in_its_interval(rows: list[tuple[float, bool]]) -> None:
    cells = ScoreCounts.of(np.array([p for p, _ in rows]), np.array([y for _, y in rows]))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = cells.metrics().values()

    for figure in figures:
        numbers = [number for number in (figure.low, figure.value, figure.high) if number is not None]
        assert numbers == sorted(numbers)
        assert np.isfinite(numbers).all()


def test_no_rows_have_no_metrics() -> None:
    cells = ScoreCounts.of(np.array([]), np.array([], dtype=bool))

    assert {figure.value for figure in cells.metrics().values()} == {None}
    assert cells.calibration() is None


def test_binned_scores_keep_the_counts() -> None:
    rng = np.random.default_rng(0)
    proba = rng.random(10_000)
    cells = ScoreCounts.of(proba, rng.random(10_000) < proba)

    coarse = cells.binned(100)

    assert len(coarse.proba) <= 100
    assert (coarse.positives.sum(), coarse.negatives.sum()) == (cells.positives.sum(), cells.negatives.sum())
    assert (np.diff(coarse.proba) > 0).all()
    assert coarse.binned(100) is coarse
    before, after = (counts.proba @ (counts.positives + counts.negatives) for counts in (cells, coarse))
    assert after == pytest.approx(before)
    twice = ScoreCounts(np.array([0.1, 0.2, 0.9]), np.array([2, 0, 2]), np.array([0, 6, 2]))
    assert twice.binned(2).proba.tolist() == pytest.approx([(2 * 0.1 + 6 * 0.2) / 8, 0.9])


def test_a_bin_of_one_row_counts_in_the_interval_of_the_calibration_error() -> None:
    proba = np.arange(0.05, 1.0, 0.1)
    gaps = np.where(proba < 0.5, 1 - proba, proba)  # the model is wrong in every row

    error = ScoreCounts.of(proba, proba < 0.5).metrics()["expected_calibration_error"]

    assert error.low is not None
    assert error.high is not None
    assert gaps.min() <= error.low < error.high <= gaps.max()  # as is the error of any mixture of these rows
