"""A step that the program calls gets what the pipeline gives it, and no call changes the next one."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from tests.serialize.compiler.support import compiled, model_of

X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)), columns=["a", "b"])
Y = X["a"] > 0.1


def clipped_in_place(frame: Any) -> Any:
    array = frame.to_numpy()
    array[array > 1.0] = 1.0
    return array


class NamesItsColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Gives the columns of its input a name if it meets a rare value, and adds 1 if they had one."""

    def fit(self, X: Any, y: Any = None) -> "NamesItsColumns":
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        added = float(X.columns.name is not None)
        if X["a"].between(7.0, 8.0).any():
            X.columns.name = "rare"
        return X.to_numpy() + added


def scaled(*, apart: bool) -> Any:
    """The columns scaled in a frame, whose columns are in one array, or each in one of its own."""
    if not apart:
        return StandardScaler().set_output(transform="pandas")
    parts = [("first", StandardScaler(), ["a"]), ("second", MinMaxScaler(), ["b"])]
    return ColumnTransformer(parts, verbose_feature_names_out=False).set_output(transform="pandas")


def test_a_step_may_write_into_its_frame_where_it_may_in_the_pipeline() -> None:
    pipeline = make_pipeline(scaled(apart=True), FunctionTransformer(clipped_in_place), LogisticRegression())
    model, rows = model_of(pipeline.fit(X, Y), X)

    program = compiled(model, rows)

    assert program.native == ["FunctionTransformer"]
    np.testing.assert_allclose(program.outputs(rows), model.outputs(rows), rtol=1e-12)
    for row in rows[:20]:
        np.testing.assert_allclose(program.outputs([row]), model.outputs([row]), rtol=1e-12)


@pytest.mark.parametrize("apart", [False, True])
def test_a_step_that_changes_the_names_of_its_columns_does_not_change_later_answers(apart: bool) -> None:
    pipeline = make_pipeline(scaled(apart=apart), NamesItsColumns(), LogisticRegression())
    model, rows = model_of(pipeline.fit(X, Y), X)
    program = compiled(model, rows)
    before = program.outputs(rows[:1])

    rare = {"a": 7.5 * X["a"].std(ddof=0) + X["a"].mean(), "b": 0.0}
    np.testing.assert_allclose(program.outputs([rare]), model.outputs([rare]), rtol=1e-12)

    np.testing.assert_array_equal(program.outputs(rows[:1]), before)
