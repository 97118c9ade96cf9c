"""The importance of a column equals scikit-learn's, in every container, and its cost is bounded."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serialize.declarations import Declarations
from serialize.errors import RefusedValue
from serialize.frame import as_table
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.quality.evaluation import encode
from serialize.quality.importances import _orders, importances

RNG = np.random.default_rng(1)
X = pd.DataFrame({"signal": RNG.normal(size=100), "noise": RNG.normal(size=100)})
Y = (X["signal"] + RNG.normal(scale=0.5, size=100) > 0).to_numpy()
PORTS = pd.DataFrame({"port": RNG.choice(["C", "S"], 100), "age": RNG.normal(size=100)}, dtype=object)
ONE_HOT = make_column_transformer((OneHotEncoder(), ["port"]), ("passthrough", ["age"]))


def found_of(pipeline: Any, X: Any, y: Any, **options: Any) -> dict[str, Any]:
    container, table = as_table(X)
    pipeline.fit(X, y)
    model = Model(pipeline, infer_task(pipeline), infer_signature(container, table, None, Declarations()))
    return importances(model, table, encode(model.task, y, getattr(pipeline, "classes_", ())), **options)


@pytest.mark.parametrize(
    ("pipeline", "X", "y", "scoring"),
    [
        (LogisticRegression(), X, Y, "roc_auc"),
        (LogisticRegression(max_iter=1000), load_iris().data, load_iris().target, "accuracy"),
        (Ridge(), X, X["signal"] * 2 + X["noise"], "r2"),
        (make_pipeline(ONE_HOT, LogisticRegression()), PORTS, PORTS["port"] == "C", "roc_auc"),
        (make_pipeline(ONE_HOT, Ridge()), PORTS.astype({"port": "category"}), PORTS["age"].astype(float), "r2"),
    ],
)
def test_importances_equal_those_of_scikit_learn(pipeline: Any, X: Any, y: Any, scoring: str) -> None:
    found = found_of(pipeline, X, y)

    sample = np.random.default_rng(0).permutation(len(X))
    rows = X.iloc[sample] if hasattr(X, "iloc") else X[sample]
    expected = permutation_importance(pipeline, rows, np.asarray(y)[sample], scoring=scoring, random_state=0)
    assert found["metric"] == scoring
    assert [one["mean"] for one in found["columns"].values()] == pytest.approx(expected.importances_mean.tolist())
    assert [one["std"] for one in found["columns"].values()] == pytest.approx(expected.importances_std.tolist())
    assert "note" not in found


def test_the_columns_of_a_wide_table_are_shuffled_once() -> None:
    wide = pd.concat([X, pd.DataFrame(RNG.normal(size=(100, 100))).add_prefix("n")], axis=1)
    steps: list[int] = []

    found = found_of(LogisticRegression(), wide, Y, done=steps.append)

    assert {figure["std"] for figure in found["columns"].values()} == {0.0}
    assert max(found["columns"], key=lambda name: found["columns"][name]["mean"]) == "signal"
    assert sum(steps) == 102


class Counting(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Notes for how many rows it was asked."""

    def fit(self, X: Any, y: Any) -> "Counting":
        self.asked_: list[int] = []
        return self

    def predict(self, X: Any) -> Any:
        self.asked_.append(len(X))
        return np.asarray(X)[:, 0]


@pytest.mark.parametrize(("columns", "rows"), [(100, 1000), (101, 200)])
def test_a_wide_table_is_shuffled_in_fewer_rows(columns: int, rows: int) -> None:
    model, table = Counting(), RNG.normal(size=(1500, columns))

    found_of(model, table, table[:, 0])

    whole, *shuffled = model.asked_
    assert whole == rows
    assert {asked % rows for asked in shuffled} == {0}


@pytest.mark.parametrize("container", [list, pd.Series, np.array])
def test_text_has_an_importance_in_every_container(container: Any) -> None:
    words, y = container(["good day", "bad night"] * 10), [1, 0] * 10

    found = found_of(make_pipeline(TfidfVectorizer(), LogisticRegression()), words, y)

    assert found["columns"]["x0"]["mean"] > 0.2


class Slow(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Takes 0.1 s for a prediction."""

    def fit(self, X: Any, y: Any) -> "Slow":
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        time.sleep(0.1)
        return np.asarray(X)[:, 0]


@pytest.mark.parametrize(("seconds", "columns"), [(0.0, 0), (0.15, 3)])
def test_columns_that_the_time_limit_leaves_out_are_noted(seconds: float, columns: int) -> None:
    wide = RNG.normal(size=(2000, 20))

    found = found_of(Slow(), wide, wide[:, 0], seconds=seconds)

    assert len(found["columns"]) == columns
    assert found["note"] == f"The time limit of {seconds:g} s was reached after {columns} of 20 columns."


class Particular(LogisticRegression):  # type: ignore[misc]
    """Refuses rows in which both columns are equal."""

    def predict_proba(self, X: Any) -> Any:
        if (X["a"] == X["b"]).any():
            raise RefusedValue("b", X["b"].iloc[0], "another number than a")
        return super().predict_proba(X)


def test_a_row_that_is_refused_when_it_is_shuffled_keeps_its_output() -> None:
    a = np.array([0, 1, 2, 3] * 25)
    table, y = pd.DataFrame({"a": a, "b": (a + 1) % 4}), a > 1

    found = found_of(Particular(), table, y)["columns"]

    willing, sample = LogisticRegression().fit(table, y), np.random.default_rng(0).permutation(100)
    rows, y = table.iloc[sample].reset_index(drop=True), y[sample]
    own, losses = willing.predict_proba(rows)[:, 1], []
    for order in _orders(100, 5):
        shuffled = rows.assign(a=rows["a"].to_numpy()[order])
        answered = willing.predict_proba(shuffled)[:, 1]
        kept = np.where(shuffled["a"] == shuffled["b"], own, answered)
        losses.append(roc_auc_score(y, own) - roc_auc_score(y, kept))
    assert found["a"]["mean"] == pytest.approx(np.mean(losses))
