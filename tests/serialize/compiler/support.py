"""Small models of passengers, and what their compiled forms must give."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    StandardScaler,
)

from serialize.checks.edge_rows import edge_rows
from serialize.compiler.compile import compile_model
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.declarations import Declarations
from serialize.frame import Row, as_array, as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.recipes import RECIPES
from serialize.signature import Scalar
from tests.support.by_column import by_column
from tests.support.passengers import PROJECT

Rows = list[dict[str, Scalar]]


TITANIC = PROJECT / "data" / "titanic.csv"


STRINGS = ["Sex", "Cabin", "Embarked"]


NUMBERS = ["Pclass", "Age", "SibSp", "Parch", "Fare"]


@cache
def passengers() -> pd.DataFrame:
    """Every third passenger, with columns of further dtypes."""
    X = pd.read_csv(TITANIC).iloc[::3].reset_index(drop=True)
    minor = [None if np.isnan(age) else bool(age < 18) for age in X["Age"]]
    return X.assign(
        Level=X["Sex"].astype("category"),
        Port=X["Embarked"].astype("category"),
        Alone=X["SibSp"] + X["Parch"] == 0,
        Minor=pd.Series(minor, dtype=object).where(X["Age"].notna(), np.nan),
        Minor_=pd.array(minor, dtype="boolean"),
        Kin=X["SibSp"].astype("Int64").mask(X["SibSp"] == 1),
        Room=pd.Series([None if pd.isna(cabin) else cabin for cabin in X["Cabin"]], dtype=object),
        Price=X["Fare"].fillna(0).astype("float32"),
    )


def survived() -> "pd.Series[Any]":
    return passengers()["Survived"].astype(bool)


def model_of(pipeline: Any, X: Any, **declared: Any) -> tuple[Model, Rows]:
    """A fitted pipeline as a Model, and its training rows as observations."""
    container, table = as_table(X)
    dtype = str(as_array(X).dtype) if container == "array" else None
    signature = infer_signature(container, table, dtype, Declarations.of(**declared))
    return Model(pipeline, infer_task(pipeline), signature), observations(table)


def compiled(model: Model, rows: Rows) -> CompiledModel:
    """The compiled form; the test fails if there is none."""
    compilation = compile_model(model, rows)
    assert compilation.reason is None, compilation.reason
    assert compilation.content is not None
    return CompiledModel(compilation.content, model)


def assert_compiles(pipeline: Any, X: Any, y: Any, tolerance: float = 1e-12, **declared: Any) -> None:
    """Asserts that the fitted pipeline compiles, gives equal outputs on all rows and on every fourth edge row, and
    refuses the same rows. Both give the same outputs by column, to the last bit."""
    model, rows = model_of(pipeline.fit(X, y), X, **declared)
    fast = compiled(model, rows)
    theirs = model.outputs(rows)
    np.testing.assert_allclose(fast.outputs(rows), theirs, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(fast.outputs_by_column(by_column(rows)), fast.outputs(rows))
    np.testing.assert_array_equal(model.outputs_by_column(by_column(rows)), theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in edge_rows(model.signature, rows[:1])[::4]:
            np.testing.assert_allclose(answer(fast, row), answer(model, row), rtol=tolerance, atol=tolerance)


def answer(model: Model | CompiledModel, row: Row) -> Any:
    """The outputs for a row, NaN if it is refused or has no finite output."""
    try:
        outputs = model.outputs([row])
    except (ValueError, TypeError):
        return np.nan
    return outputs if np.isfinite(outputs).all() else np.nan


def numbers() -> Any:
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler())


def words(encoder: Any = None, **imputer: Any) -> Any:
    return make_pipeline(SimpleImputer(**imputer), encoder or OneHotEncoder(handle_unknown="ignore"))


def prepared(words: Any, *more: Any) -> ColumnTransformer:
    return make_column_transformer((numbers(), NUMBERS), (words, STRINGS), *more, sparse_threshold=0)


def titanic() -> tuple[Model, Rows]:
    """The titanic recipe on its first 200 rows."""
    recipe = RECIPES["titanic"]()
    X = recipe.X.iloc[:200]
    return model_of(recipe.pipeline.fit(X, recipe.y.iloc[:200]), X, **recipe.declared)


def iris() -> tuple[Model, Rows]:
    """Iris from an array."""
    X, y = load_iris(return_X_y=True)
    return model_of(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X)
