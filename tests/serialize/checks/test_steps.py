"""The step of a pipeline whose output depends on the other rows of a call is named."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from serialize.checks.steps import first_different_step
from serialize.declarations import Declarations
from serialize.frame import as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from tests.support.own_steps import centred

X = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)[::-1] ** 2})
CENTRED = ("centred", FunctionTransformer(centred))


@pytest.mark.parametrize(
    ("steps", "phrase"),
    [
        ([("same", "passthrough"), ("scaler", StandardScaler()), CENTRED], "Step 'centred' (FunctionTransformer)"),
        ([("inner", Pipeline([("scaler", StandardScaler()), CENTRED]))], "Step 'centred' (FunctionTransformer)"),
        ([("scaler", StandardScaler())], "Step 'model' (LinearRegression)"),
        ([("same", "passthrough"), ("scaler", StandardScaler())], "Step 'model' (LinearRegression)"),
    ],
    ids=["a step", "a step of an inner pipeline", "the estimator", "the estimator after several steps"],
)
def test_the_first_different_step_is_named(steps: list[Any], phrase: str) -> None:
    pipeline = Pipeline([*steps, ("model", LinearRegression())]).fit(X, X["a"])
    container, table = as_table(X)
    model = Model(pipeline, infer_task(pipeline), infer_signature(container, table, None, Declarations.of()))

    assert first_different_step(model, observations(table), range(3, 6), 4, 1e-9) == phrase
