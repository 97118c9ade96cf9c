"""A model is compared with the original row by row, and the first other answer is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from serialize import DumpError
from serialize.declarations import Declarations
from serialize.frame import observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.original.same_answers import check_same_answers

X = pd.DataFrame({"a": np.arange(1000.0), "b": [None, *range(999)]})
DTYPES: dict[str, Any] = {"a": np.dtype("float64"), "b": np.dtype("float64")}


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.fillna(0.0)


def filled_with_one(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.fillna(1.0)


def refused(frame: pd.DataFrame) -> pd.DataFrame:
    raise TypeError("no nulls here")


def model(step: Any) -> Model:
    pipeline = make_pipeline(FunctionTransformer(filled), Ridge()).fit(X, np.arange(1000.0))
    pipeline.steps[0] = ("step", FunctionTransformer(step))
    return Model(pipeline, infer_task(pipeline), infer_signature("frame", X, None, Declarations()))


def test_at_most_two_hundred_rows_and_each_null_are_compared() -> None:
    assert check_same_answers(model(filled), model(filled), DTYPES, observations(X)) == 201


def test_another_answer_is_refused_with_both() -> None:
    with pytest.raises(
        DumpError, match=r"^An observation with the values of the first row gets the output \[.*, but \["
    ):
        check_same_answers(model(filled_with_one), model(filled), DTYPES, observations(X))


def test_an_observation_that_the_pipeline_cannot_answer_is_named_with_its_nulls() -> None:
    with pytest.raises(DumpError, match=r"an observation with null in b as .*\(TypeError: no nulls here\); .*fit the"):
        check_same_answers(model(refused), model(refused), DTYPES, observations(X))
