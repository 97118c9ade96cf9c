"""A pipeline is fitted again on the input that `fit` got before: base rows, rows of the log, or both."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serialize import DumpError
from serialize.training.data import TrainingData
from serialize.training.refit import join, only, refit, takes_weights
from tests.serialize.training.support import fitted

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 2))
Y = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
SCALED = make_pipeline(StandardScaler(), LogisticRegression())
WEIGHTED = {
    "logistic": LogisticRegression(),
    "pipeline": SCALED,
    "pipeline in a pipeline": make_pipeline(StandardScaler(), SCALED),
    "search": GridSearchCV(SCALED, {"logisticregression__C": [0.1, 1]}),
    "calibrated": CalibratedClassifierCV(LogisticRegression()),
    "target": TransformedTargetRegressor(LinearRegression()),
}
UNWEIGHTED = {
    "neighbours": KNeighborsClassifier(),
    "pipeline of neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier()),
    "tuned threshold": TunedThresholdClassifierCV(SCALED),
    "calibrated pipeline": CalibratedClassifierCV(SCALED),
    "vote": VotingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())], voting="soft"),
    "stack of pipelines": StackingClassifier([("a", SCALED)]),
    "one by one": OneVsRestClassifier(LogisticRegression()),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_reach_the_final_estimator(name: str) -> None:
    artifact = fitted(WEIGHTED[name], X, Y)
    weights = np.where(np.arange(60) < 30, 100.0, 0.01)

    plain, weighted = refit(artifact, X, Y), refit(artifact, X, Y, weights)

    assert takes_weights(WEIGHTED[name])
    assert not np.allclose(_answers(plain), _answers(weighted))


@pytest.mark.parametrize("name", UNWEIGHTED)
def test_weights_that_would_be_lost_are_refused(name: str) -> None:
    artifact = fitted(UNWEIGHTED[name], X, Y)

    assert not takes_weights(UNWEIGHTED[name])
    with pytest.raises(DumpError, match="takes no sample_weight"):
        refit(artifact, X, Y, np.ones(60))


def _answers(estimator: Any) -> Any:
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def test_refit_leaves_the_served_pipeline_as_it_is() -> None:
    artifact = fitted(make_pipeline(StandardScaler(), LogisticRegression()), X, Y)
    before = artifact.model.pipeline.predict_proba(X)

    again = refit(artifact, X + 1, 1 - Y)

    assert np.array_equal(artifact.model.pipeline.predict_proba(X), before)
    assert not np.allclose(again.predict_proba(X), before)


@pytest.mark.parametrize(
    ("y", "message"),
    [([0] * 60, r"cannot be fitted again on these rows \(ValueError\)\.$"), ([0, 2] * 30, "no row of the class 1")],
)
def test_rows_with_other_classes_are_refused(y: list[int], message: str) -> None:
    with pytest.raises(DumpError, match=message):
        refit(fitted(make_pipeline(StandardScaler(), LogisticRegression()), X, Y), X, y)


def test_rows_of_the_log_are_joined_with_the_dtypes_of_the_base() -> None:
    frame = pd.DataFrame(
        {
            "age": np.array([1.5, np.nan, 3], dtype="float32"),
            "port": pd.Categorical(["a", "b", None], categories=["b", "a"]),
            "seen": pd.DatetimeIndex(["2020-01-01", "2021-01-01", "NaT"]).as_unit("ns"),
            "cabin": pd.Series([None, "x", "y"], dtype=object),
        }
    )
    artifact = fitted(DummyClassifier(), frame, pd.Series([0, 1, 0], name="died"))
    rows = [{"age": None, "port": "a", "seen": "2022-02-03T04:05:06", "cabin": None}]

    joined = join(artifact.data, rows, [True], artifact)

    expected = pd.concat(
        [
            frame,
            pd.DataFrame(
                {
                    "age": np.array([np.nan], dtype="float32"),
                    "port": pd.Categorical(["a"], categories=["b", "a"]),
                    "seen": pd.to_datetime(["2022-02-03T04:05:06"]).as_unit("ns"),
                    "cabin": pd.Series([None], dtype=object),
                }
            ),
        ],
        ignore_index=True,
    )
    pd.testing.assert_frame_equal(joined.X, expected)
    pd.testing.assert_series_equal(joined.y, pd.Series([0, 1, 0, 1], name="died"))
    alone = only(rows, [True], artifact)
    pd.testing.assert_frame_equal(alone.X, expected.iloc[3:].reset_index(drop=True))
    assert alone.y.tolist() == [1]


@pytest.mark.parametrize(
    ("given", "y", "truths", "expected"),
    [
        (["a b", "c"], ["no", "yes"], ["yes"], ["no", "yes", "yes"]),
        (np.array(["a b", "c"]), np.array([False, True]), [True], np.array([False, True, True])),
        (pd.Series(["a b", "c"], name="said"), np.array([1.0, 2.0]), [2.0], np.array([1.0, 2.0, 2.0])),
    ],
)
def test_texts_are_joined_in_their_container(given: Any, y: Any, truths: list[Any], expected: Any) -> None:
    artifact = fitted(make_pipeline(CountVectorizer(token_pattern=r"\w+"), LogisticRegression()), given, y)
    name = artifact.model.signature.names[0]

    joined = join(artifact.data, [{name: "a longer text than before"}], truths, artifact)

    assert type(joined.X) is type(given)
    assert type(joined.y) is type(expected)
    assert list(joined.X) == [*given, "a longer text than before"]
    assert list(joined.y) == list(expected)
    assert np.asarray(joined.X).dtype.kind == np.asarray(given).dtype.kind
    refit(artifact, joined.X, joined.y)


def test_true_values_with_a_fraction_make_floats_of_integers() -> None:
    artifact = fitted(LinearRegression(), X[:3], np.array([1, 2, 3]))
    rows = [{"x0": 1.0, "x1": 2.0}]

    assert join(artifact.data, rows, [4.0], artifact).y.tolist() == [1, 2, 3, 4]
    assert join(artifact.data, rows, [4.5], artifact).y.tolist() == [1, 2, 3, 4.5]
    assert only(rows, [4.5], artifact, TrainingData(X[:3], [1, 2])).y == [4.5]


def test_a_true_class_that_the_model_does_not_know_is_refused() -> None:
    artifact = fitted(DummyClassifier(), X, np.array(["a", "b"] * 30))

    with pytest.raises(DumpError, match="'c' is not a class of the model"):
        only([{"x0": 1.0, "x1": 2.0}], ["c"], artifact)
