"""Trees of every library become one ensemble that gives the outputs of the pipeline, without a step of the pipeline."""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from serialize.checks.edge_rows import answers
from serialize.compiler.compile import compile_model
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.compiler.runtime.program import Program
from serialize.frame import Row
from serialize.signature import Scalar, Signature
from tests.serialize.compiler.support import compiled, model_of

N = 400
NUMBERS = ["first", "second", "third", "few"]
HUGE = (0.0, -0.0, 1e-35, -1e-36, 5e-324, 3.4028235e38, 3.5e38, -3.5e38, 1e150, -1e150)
XGBOOST: Any = {"n_estimators": 20, "max_depth": 3, "n_jobs": 1}
LIGHTGBM: Any = {"n_estimators": 20, "num_leaves": 7, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
CATBOOST: Any = {"iterations": 20, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


@cache
def data() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Three columns of numbers, two of them with nulls, one with three values, and two of text; several targets."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({name: random.normal(size=N) * 3 for name in NUMBERS[:3]})
    X["few"] = random.integers(0, 3, N).astype(float)
    X.loc[random.random(N) < 0.1, "first"] = np.nan
    X.loc[random.random(N) < 0.1, "few"] = np.nan
    X["letter"] = random.choice(list("abcd"), N).astype(object)
    X["code"] = random.choice([f"c{number}" for number in range(12)], N).astype(object)
    score = X["first"].fillna(1) / 3 + X["second"] / 9 + (X["letter"] == "b") - (X["code"] < "c2") + (X["few"] == 0)
    value = (score + random.normal(size=N) / 2).to_numpy()
    return X, {
        "binary": value > 0.5,
        "several": np.digitize(value, [0, 1]),
        "value": value,
        "count": random.poisson(np.exp(value / 3)),
        "share": 1 / (1 + np.exp(-value)),
    }


def numbers() -> pd.DataFrame:
    """The columns of numbers."""
    return data()[0][NUMBERS]


def categories() -> pd.DataFrame:
    """All columns, with the texts as pandas categories; one of them has nulls."""
    X = data()[0]
    coded = X.assign(letter=X["letter"].astype("category"), code=X["code"].astype("category"))
    coded.loc[::17, "code"] = np.nan
    return coded


def encoded(estimator: Any, *, sparse: bool) -> Any:
    """A pipeline of a one-hot encoding and an estimator, with a dense or a sparse matrix between them."""
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=sparse)
    columns = make_column_transformer(
        ("passthrough", NUMBERS), (encoder, ["letter", "code"]), sparse_threshold=1.0 if sparse else 0.0
    )
    return make_pipeline(columns, estimator)


def random_rows(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Rows with values of the training rows, nulls and huge and tiny numbers, at random."""
    random = np.random.default_rng(1)
    tried: dict[str, list[Scalar]] = {}
    for column in signature:
        seen: list[Scalar] = [row[column.name] for row in rows[:20]]
        odd: list[Scalar] = list(HUGE) if column.accepted == "number" else []
        tried[column.name] = [*seen, *odd, *([None] * 5 if column.nullable else [])]
    return [{name: values[random.integers(len(values))] for name, values in tried.items()} for _ in range(80)]


def programmed(pipeline: Any, X: Any, tolerance: float = 1e-15) -> Program:
    """The program of a fitted pipeline; the compiler has proved it on edge rows. Asserts that it gives the outputs of
    the pipeline, to `tolerance`, on training rows and random rows, and that it refuses the same rows."""
    model, rows = model_of(pipeline, X)
    compilation = compile_model(model, rows)
    assert compilation.content is not None, compilation.reason
    compiled = CompiledModel(compilation.content, model)
    tried = [*rows, *random_rows(model.signature, rows)]
    width = len(model.task.classes) or 1
    ours, theirs = answers(compiled.outputs, tried, width), answers(model.outputs, tried, width)
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert not np.isnan(theirs[: len(rows)]).any()
    return Program.from_bytes(compilation.content)


def assert_ruled(pipeline: Any, X: Any, target: str, tolerance: float = 1e-15) -> None:
    """Asserts that the pipeline, fitted to a target, becomes one ensemble of trees, and calls no step."""
    program = programmed(pipeline.fit(X, data()[1][target]), X, tolerance)
    assert program.native == []
    assert [each.operation for each in program.instructions].count("trees") == 1


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (XGBClassifier(**XGBOOST), "binary"),
        (XGBClassifier(**XGBOOST, base_score=0.3), "binary"),
        (XGBClassifier(**XGBOOST, missing=0.0), "binary"),
        (XGBClassifier(**XGBOOST), "several"),
        (XGBRFClassifier(**XGBOOST), "binary"),
        (XGBRegressor(**XGBOOST), "value"),
        (XGBRegressor(**XGBOOST, objective="reg:absoluteerror"), "value"),
        (XGBRegressor(**XGBOOST, objective="reg:logistic"), "share"),
        (XGBRegressor(**XGBOOST, objective="count:poisson"), "count"),
    ],
)
def test_xgboost(model: Any, target: str) -> None:
    """The outputs are equal to the last bit."""
    assert_ruled(model, numbers(), target, tolerance=0)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("target", ["binary", "several"])
def test_xgboost_takes_the_zeros_of_a_sparse_matrix_for_missing(target: str, sparse: bool) -> None:
    """The outputs are equal to the last bit after a dense and a sparse encoding; the two models differ."""
    assert_ruled(encoded(XGBClassifier(**XGBOOST), sparse=sparse), data()[0], target, tolerance=0)


@pytest.mark.parametrize("one_hot", [1, 100])
def test_xgboost_with_pandas_categories(one_hot: int) -> None:
    """A split takes a set of categories, or one of them."""
    model = XGBClassifier(**XGBOOST, enable_categorical=True, max_cat_to_onehot=one_hot)
    assert_ruled(model, categories(), "binary", tolerance=0)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (LGBMClassifier(**LIGHTGBM), "binary"),
        (LGBMClassifier(**LIGHTGBM, sigmoid=2.0), "binary"),
        (LGBMClassifier(**LIGHTGBM, zero_as_missing=True), "binary"),
        (LGBMClassifier(**LIGHTGBM, use_missing=False), "binary"),
        (LGBMClassifier(**LIGHTGBM, boosting_type="rf", subsample=0.5, subsample_freq=1), "binary"),
        (LGBMClassifier(**LIGHTGBM, boosting_type="dart"), "binary"),
        (LGBMClassifier(**LIGHTGBM), "several"),
        (LGBMClassifier(**LIGHTGBM, objective="multiclassova"), "several"),
        (LGBMRegressor(**LIGHTGBM), "value"),
        (LGBMRegressor(**LIGHTGBM, objective="poisson"), "count"),
        (LGBMRegressor(**LIGHTGBM, objective="cross_entropy"), "share"),
    ],
)
def test_lightgbm(model: Any, target: str) -> None:
    """Nulls and zeros go where LightGBM sends them."""
    assert_ruled(model, numbers(), target)


@pytest.mark.parametrize("sparse", [False, True])
def test_lightgbm_after_an_encoding(sparse: bool) -> None:
    """The zeros of a sparse matrix are zeros."""
    assert_ruled(encoded(LGBMClassifier(**LIGHTGBM), sparse=sparse), data()[0], "binary")


def test_lightgbm_with_pandas_categories() -> None:
    """A split takes a set of categories."""
    assert_ruled(LGBMClassifier(**LIGHTGBM, min_data_per_group=5, cat_smooth=1), categories(), "binary")


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (CatBoostClassifier(**CATBOOST), "binary"),
        (CatBoostClassifier(**CATBOOST, nan_mode="Max"), "binary"),
        (CatBoostClassifier(**CATBOOST), "several"),
        (CatBoostClassifier(**CATBOOST, loss_function="MultiClassOneVsAll"), "several"),
        (CatBoostRegressor(**CATBOOST), "value"),
        (CatBoostRegressor(**CATBOOST, loss_function="Poisson"), "count"),
    ],
)
def test_catboost(model: Any, target: str) -> None:
    """Numbers are rounded to single precision; nulls go where the mode of nulls sends them."""
    assert_ruled(model, numbers(), target)


@pytest.mark.parametrize("sparse", [False, True])
def test_catboost_after_an_encoding(sparse: bool) -> None:
    """The zeros of a sparse matrix are zeros."""
    assert_ruled(encoded(CatBoostClassifier(**CATBOOST), sparse=sparse), data()[0], "binary")


OWN = ["letter", "code"]
ONE_COLUMN: Any = {"max_ctr_complexity": 1, "one_hot_max_size": 2}  # counts of one column, no questions for values


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (CatBoostClassifier(**CATBOOST, **ONE_COLUMN), "binary"),
        (CatBoostClassifier(**CATBOOST, max_ctr_complexity=1, one_hot_max_size=4), "binary"),
        (CatBoostClassifier(**CATBOOST, one_hot_max_size=100), "several"),
        (CatBoostClassifier(**CATBOOST, **ONE_COLUMN), "several"),
        (CatBoostClassifier(**CATBOOST, **ONE_COLUMN, simple_ctr=["Buckets:Prior=0.3"]), "several"),
        (CatBoostClassifier(**CATBOOST, **ONE_COLUMN, simple_ctr=["BinarizedTargetMeanValue"]), "binary"),
        (CatBoostClassifier(**CATBOOST, **ONE_COLUMN, simple_ctr=["Counter"]), "binary"),
        (CatBoostRegressor(**CATBOOST, **ONE_COLUMN), "value"),
        (CatBoostRegressor(**CATBOOST, **ONE_COLUMN, simple_ctr=["Borders:TargetBorderCount=4"]), "value"),
    ],
)
def test_catboost_with_categories_of_its_own(model: Any, target: str) -> None:
    """Trees ask whether a column has a value, and compare counts of its values."""
    assert_ruled(model.set_params(cat_features=OWN), data()[0], target)


def test_catboost_with_nothing_but_categories() -> None:
    assert_ruled(CatBoostClassifier(**CATBOOST, **ONE_COLUMN, cat_features=OWN), data()[0][OWN], "binary")


def test_catboost_with_pandas_categories() -> None:
    X = data()[0].astype(dict.fromkeys(OWN, "category"))
    assert_ruled(CatBoostClassifier(**CATBOOST, **ONE_COLUMN, cat_features=OWN), X, "binary")


def test_catboost_on_texts_that_no_training_row_has() -> None:
    """They count as values that CatBoost has never counted."""
    model = CatBoostClassifier(**CATBOOST, **ONE_COLUMN, cat_features=OWN).fit(data()[0], data()[1]["binary"])
    ours, rows = model_of(model, data()[0])
    fast = compiled(ours, rows)
    tried = [
        {**row, "letter": letter, "code": code} for row in rows[:9] for letter, code in product(["é", "a"], ["", "c99"])
    ]
    assert fast.native == []
    np.testing.assert_allclose(fast.outputs(tried), ours.outputs(tried), rtol=1e-15)


def test_catboost_that_counts_combinations_of_columns_gets_an_array_of_objects() -> None:
    """It is called without pandas. So is a model whose categories are integers."""
    X = data()[0]
    same = X["letter"].isin(["a", "b"]) == X["code"].isin([f"c{number}" for number in range(6)])
    two_columns = {**ONE_COLUMN, "max_ctr_complexity": 2}
    combined = CatBoostClassifier(**CATBOOST, **two_columns, model_size_reg=0, cat_features=OWN).fit(X, same)
    assert [each.operation for each in programmed(combined, X).instructions] == ["objects", "native"]

    X = X.assign(code=np.arange(N) % 12)
    integers = CatBoostClassifier(**CATBOOST, **ONE_COLUMN, cat_features=OWN).fit(X, data()[1]["binary"])
    assert [each.operation for each in programmed(integers, X).instructions] == ["objects", "native"]


def test_catboost_that_has_counted_more_than_the_training_rows() -> None:
    """A value that no given row has would be taken for an unseen one."""
    model = CatBoostClassifier(**CATBOOST, **ONE_COLUMN, cat_features=OWN).fit(data()[0], data()[1]["binary"])
    program = programmed(model, data()[0].query("code != 'c3'"))
    assert program.native == ["CatBoostClassifier"]


def test_early_stopping() -> None:
    """Only the trees up to the best iteration count."""
    X, y = numbers(), data()[1]["binary"]
    xgboost = XGBClassifier(n_estimators=60, early_stopping_rounds=5, learning_rate=1.0)
    xgboost.fit(X[:300], y[:300], eval_set=[(X[300:], y[300:])], verbose=False)
    assert xgboost.best_iteration + 1 < xgboost.get_booster().num_boosted_rounds()
    lightgbm = LGBMClassifier(**{**LIGHTGBM, "n_estimators": 60, "learning_rate": 1.0})
    stop = early_stopping(5, verbose=False)
    lightgbm.fit(X[:300], y[:300], eval_X=X[300:], eval_y=y[300:], callbacks=[stop])
    assert lightgbm.best_iteration_ < 60
    for model in (xgboost, lightgbm):
        assert programmed(model, X).native == []


@pytest.mark.parametrize(
    ("model", "target", "step"),
    [
        (XGBClassifier(**XGBOOST, booster="dart"), "binary", "XGBClassifier"),
        (XGBClassifier(**XGBOOST, objective="binary:hinge"), "binary", "XGBClassifier"),
        (LGBMRegressor(**LIGHTGBM, linear_tree=True), "value", "Booster"),
        (LGBMRegressor(**LIGHTGBM, reg_sqrt=True), "value", "Booster"),
        (CatBoostClassifier(**CATBOOST, grow_policy="Depthwise"), "binary", "CatBoostClassifier"),
        (CatBoostRegressor(**CATBOOST, loss_function="LogCosh"), "value", "CatBoostRegressor"),
    ],
)
def test_models_without_a_rule_get_a_plain_array(model: Any, target: str, step: str) -> None:
    """They answer without pandas too, and without a warning about names of columns."""
    program = programmed(model.fit(numbers(), data()[1][target]), numbers())
    assert program.native == [step]
    (native,) = [each for each in program.instructions if each.operation.startswith("native")]
    assert native.parameters["form"] == "array"


def test_a_model_without_a_rule_gets_a_sparse_matrix() -> None:
    """XGBoost tells zeros that a sparse matrix leaves out from zeros of an array."""
    pipeline = encoded(XGBClassifier(**XGBOOST, booster="dart"), sparse=True)
    program = programmed(pipeline.fit(data()[0], data()[1]["binary"]), data()[0])
    (native,) = [each for each in program.instructions if each.operation.startswith("native")]
    assert native.parameters["form"] == "sparse"


@pytest.mark.parametrize("target", ["binary", "several"])
@pytest.mark.parametrize("depth", [1, 3])
def test_adaboost(target: str, depth: int) -> None:
    """All trees are one ensemble."""
    assert_ruled(AdaBoostClassifier(DecisionTreeClassifier(max_depth=depth), n_estimators=10), filled(), target)


def test_adaboost_for_a_regression() -> None:
    """The median of the trees, by their weights."""
    assert_ruled(AdaBoostRegressor(n_estimators=10, random_state=0), filled(), "value")


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (BaggingClassifier(n_estimators=5, max_features=0.5), "binary"),
        (BaggingClassifier(n_estimators=5), "several"),
        (BaggingRegressor(n_estimators=5, max_features=0.5, bootstrap_features=True), "value"),
    ],
)
def test_bagging(model: Any, target: str) -> None:
    """All trees are one ensemble, also if each sees some of the columns."""
    assert_ruled(model.set_params(random_state=0), filled(), target)


def test_bagging_of_other_estimators() -> None:
    """They have no trees; each gets its own rule."""
    model = BaggingClassifier(make_pipeline(StandardScaler(), LogisticRegression()), n_estimators=3)
    program = programmed(model.fit(filled(), data()[1]["binary"]), filled(), 1e-12)
    assert program.native == []


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (DecisionTreeRegressor(max_depth=4), "value"),
        (RandomForestClassifier(5), "binary"),
        (RandomForestClassifier(5), "several"),
        (ExtraTreesRegressor(5), "value"),
        (GradientBoostingClassifier(n_estimators=5), "binary"),
        (GradientBoostingClassifier(n_estimators=5, loss="exponential"), "binary"),
        (GradientBoostingClassifier(n_estimators=5), "several"),
        (GradientBoostingRegressor(n_estimators=5), "value"),
    ],
)
def test_trees_of_scikit_learn(model: Any, target: str) -> None:
    """Forests and gradient boosting."""
    assert_ruled(model.set_params(random_state=0), filled(), target)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (HistGradientBoostingClassifier(max_iter=5), "binary"),
        (HistGradientBoostingClassifier(max_iter=5), "several"),
        (HistGradientBoostingRegressor(max_iter=5, loss="poisson"), "count"),
    ],
)
def test_histogram_gradient_boosting(model: Any, target: str) -> None:
    """With nulls and pandas categories."""
    assert_ruled(model, categories(), target)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (CalibratedClassifierCV(XGBClassifier(**XGBOOST), cv=2), "binary"),
        (CalibratedClassifierCV(LGBMClassifier(**LIGHTGBM), cv=2), "binary"),
        (CalibratedClassifierCV(LGBMClassifier(**LIGHTGBM), cv=2), "several"),
        (CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=5), cv=2), "several"),
        (CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=5), cv=2), "binary"),
        (CalibratedClassifierCV(AdaBoostClassifier(n_estimators=5), cv=2), "binary"),
        (CalibratedClassifierCV(AdaBoostClassifier(n_estimators=5), cv=2), "several"),
        (BaggingClassifier(XGBClassifier(**XGBOOST), n_estimators=2), "several"),
        (
            VotingClassifier([("x", XGBClassifier(**XGBOOST)), ("l", LGBMClassifier(**LIGHTGBM))], voting="soft"),
            "binary",
        ),
        (VotingClassifier([("x", XGBClassifier(**XGBOOST)), ("y", XGBClassifier())], voting="soft"), "binary"),
        (TransformedTargetRegressor(XGBRegressor(**XGBOOST), func=np.log1p, inverse_func=np.expm1), "count"),
    ],
)
def test_trees_inside_other_estimators(model: Any, target: str) -> None:
    """Their scores and probabilities have rules too, in the precision that scikit-learn uses."""
    assert programmed(model.fit(filled(), data()[1][target]), filled(), 1e-14).native == []


def filled() -> pd.DataFrame:
    """The columns of numbers without nulls."""
    return numbers().fillna(0.0)
