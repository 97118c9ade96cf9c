"""A step that the program calls gets what the pipeline gives it, and no call changes the next one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from serialize.compiler.runtime import native
from serialize.compiler.runtime.native import NativeRaw
from serialize.frame import Row, build_input
from serialize.signature import Signature
from tests.serialize.compiler.support import compiled, model_of
from tests.support.by_column import by_column
from tests.support.frames import frames, learned

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


class Recorder:
    """Keeps its last input."""

    def transform(self, X: Any) -> Any:
        self.last = X
        return np.zeros((len(X), 1))


def frame_of_native_step(signature: Signature, rows: Sequence[Row]) -> Any:
    recorder = Recorder()
    link = {"path": (), "method": "transform"}
    step = NativeRaw(recorder, signature, "frame", signature.names, [link], step="Recorder")
    step(*by_column(rows).values())
    return recorder.last


@pytest.mark.parametrize("has_blocks", [True, False], ids=["pandas 3", "pandas 2"])
@settings(deadline=None, max_examples=60)
@given(frame=frames())
def test_a_step_gets_the_frame_of_the_pipeline(has_blocks: bool, frame: pd.DataFrame) -> None:
    signature, rows = learned(frame)
    expected = build_input(signature, rows)

    with pytest.MonkeyPatch.context() as patch:
        if not has_blocks:
            patch.setattr(native, "create_dataframe_from_blocks", None)
        found = frame_of_native_step(signature, rows)

    assert list(found.columns) == list(frame.columns)
    assert found.columns.dtype == "str"  # without regard to where pandas keeps the texts
    assert_frame_equal(found.set_axis(expected.columns, axis="columns"), expected, check_exact=True)
    for name in [name for name in frame if frame[name].dtype == "object"]:
        assert list(map(type, found[name])) == list(map(type, frame[name]))
