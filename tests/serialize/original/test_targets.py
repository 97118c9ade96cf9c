"""The targets of a file are the labels of the model, by value or by text."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from serialize import DumpError
from serialize.infer_task import infer_task
from serialize.original.targets import targets_of

X = np.array([[0.0], [1.0], [2.0]])


def found(values: list[Any], pipeline: Any) -> list[Any]:
    column = pd.Series(values, name="y")
    labels: list[Any] = targets_of(column, pipeline, infer_task(pipeline), "rows.csv").tolist()
    return labels


@pytest.mark.parametrize(
    ("classes", "values", "labels"),
    [
        ([0, 1, 1], [1, 0], [True, False]),
        ([0, 1, 1], [1.0, 0.0], [True, False]),
        ([0, 1, 1], ["1", "0"], [True, False]),
        ([False, True, True], ["True", "False"], [True, False]),
        (["0", "1", "1"], [1, 0], ["1", "0"]),
        (["no", "yes", "yes"], ["yes", "no"], ["yes", "no"]),
        ([1, 2, 3], ["3", "1"], [3, 1]),
    ],
)
def test_a_label_is_found_by_its_value_or_its_text(classes: list[Any], values: list[Any], labels: list[Any]) -> None:
    assert found(values, LogisticRegression().fit(X, classes)) == labels


@pytest.mark.parametrize(
    ("pipeline", "values", "refusal"),
    [
        (LogisticRegression().fit(X, [0, 1, 1]), [1, None], r"^'y' is null in 1 rows of rows\.csv; remove these rows"),
        (
            LogisticRegression().fit(X, [0, 1, 1]),
            [1, 2],
            r"holds 2, which is none of the classes of the pipeline: 0, 1",
        ),
        (LogisticRegression().fit(X, ["a", "b", "b"]), ["a", "c"], "holds 'c', which is none of the classes"),
        (LogisticRegression().fit(X, [0, 1, 1]), [1, [2]], "does not hold labels"),
        (Ridge().fit(X, [0.5, 1, 2]), ["low", "high"], "does not hold numbers, but the pipeline is a regressor"),
    ],
)
def test_a_target_that_the_model_cannot_have_is_refused(pipeline: Any, values: list[Any], refusal: str) -> None:
    with pytest.raises(DumpError, match=refusal):
        found(values, pipeline)
