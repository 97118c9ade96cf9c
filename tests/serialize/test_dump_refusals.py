"""A model or an option that cannot be served is refused, and nothing is written."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.svm import LinearSVC

from serialize import DumpError, dump
from tests.support.own_steps import Claims, centred, shaken
from tests.support.ship import (
    AGES,
    FARES,
    FRAME,
    NUMBERS,
    ROWS,
    SURVIVED,
    WORDS,
)

LOGISTIC = functools.partial(LogisticRegression, max_iter=1000)


def test_unseen_values_that_the_pipeline_refuses_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    X = FRAME[["port"]].dropna()
    pipeline = make_pipeline(OneHotEncoder(), LOGISTIC()).fit(X, SURVIVED[X.index])

    with pytest.raises(DumpError, match=r"port 'unseen 0'.*leave these columns out of accept_unseen"):
        dump(pipeline, X, SURVIVED[X.index], tmp_path / "artifact", accept_unseen=["port"])
    assert not list(tmp_path.iterdir())


FITTED = LOGISTIC().fit(NUMBERS, SURVIVED)


TWO = np.column_stack([AGES, FARES])


REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "unfitted": (LOGISTIC(), NUMBERS, SURVIVED, "not fitted; call its fit"),
    "no probabilities": (LinearSVC().fit(NUMBERS, SURVIVED), NUMBERS, SURVIVED, "no predict_proba"),
    "duplicate names": (FITTED, NUMBERS.set_axis(["age", "age"], axis=1), SURVIVED, "Two columns are called 'age'"),
    "names that are numbers": (
        FITTED,
        NUMBERS.set_axis([0, 1], axis=1),
        SURVIVED,
        "0 is not a string, and JSON keys are strings",
    ),
    "a target with nulls": (FITTED, NUMBERS, [None, *SURVIVED[1:]], "y_train has 1 nulls; drop those rows"),
    "an infinite target": (Ridge().fit(NUMBERS, FARES), NUMBERS, [np.inf, *FARES[1:]], "y_train holds infinity"),
    "a target of words": (Ridge().fit(NUMBERS, FARES), NUMBERS, WORDS, "not numbers, but the model is a regressor"),
    "an unknown class": (FITTED, NUMBERS, SURVIVED + 1, "2, a class that the model was not fitted on"),
    "unequal lengths": (FITTED, NUMBERS, SURVIVED[1:], "y_train has 39 targets for 40 rows"),
    "several targets": (LinearRegression().fit(NUMBERS, TWO), NUMBERS, TWO, r"shape \(40, 2\).*one target"),
    "several answers": (LinearRegression().fit(NUMBERS, TWO), NUMBERS, FARES, "several values for a row"),
    "infinity": (FITTED, NUMBERS.assign(age=[np.inf, *AGES[1:]]), SURVIVED, "infinity, which JSON cannot carry"),
    "mixed types": (FITTED, NUMBERS.assign(age=["x", *AGES[1:]]), SURVIVED, "str; make them all"),
    "periods": (
        FITTED,
        NUMBERS.assign(age=pd.period_range("2026-01", periods=ROWS)),
        SURVIVED,
        "holds periods; convert it",
    ),
    "a sparse matrix": (FITTED, pytest.importorskip("scipy.sparse").csr_matrix(NUMBERS), SURVIVED, "sparse"),
    "other columns": (FITTED, NUMBERS[["rank", "age"]], SURVIVED, "cannot score X_train .*pass the rows"),
    "chance": (make_pipeline(FunctionTransformer(shaken), FITTED), NUMBERS, SURVIVED, "is random"),
    "the company of rows": (
        make_pipeline(FunctionTransformer(centred), FITTED),
        NUMBERS,
        SURVIVED,
        "computes with the other rows",
    ),
    "no probability": (Claims(7.0).fit(NUMBERS, SURVIVED), NUMBERS, SURVIVED, "2 probabilities from 0 to 1"),
    "NaN": (Claims(np.nan).fit(NUMBERS, SURVIVED), NUMBERS, SURVIVED, "predicts NaN or infinity"),
}


@pytest.mark.filterwarnings("ignore:.*feature names:UserWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_cannot_be_served_is_refused_and_nothing_is_written(case: str, tmp_path: Path) -> None:
    pipeline, X, y, says = REFUSED[case]

    with pytest.raises(DumpError, match=says) as refused:
        dump(pipeline, X, y, tmp_path / "artifact")

    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [{"threshold": 2}, {"bounds": {"age": (0, 1)}}, {"metrics": {"accuracy": np.nan}}, {"metrics": "some"}, {"cv": 1}],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DumpError):
        dump(FITTED, NUMBERS, SURVIVED, tmp_path / "artifact", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("measured", "named"),
    [
        ({"cv": 3}, "cv"),
        ({"groups": NUMBERS["rank"]}, "groups"),
        ({"metrics": "in-sample"}, "metrics='in-sample'"),
        ({"metrics": "cross-validation"}, "metrics='cross-validation'"),
    ],
)
def test_an_argument_that_needs_targets_is_refused_without_them(
    measured: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(DumpError, match=rf"^{named} needs y_train, which is None; give the targets, or leave it out"):
        dump(FITTED, NUMBERS, None, tmp_path / "artifact", **measured)
    assert not (tmp_path / "artifact").exists()
