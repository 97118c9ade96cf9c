"""A compiled model gives the outputs of its pipeline, on training rows and edge rows, or there is a reason for none."""

import os
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, RidgeCV, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from serialize.checks.edge_rows import edge_rows
from serialize.compiler.compile import compile_model
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.declarations import Declarations
from serialize.frame import observations
from serialize.infer_signature import infer_signature
from serialize.recipes import RECIPES
from serialize.recipes.csv import ModelName, from_csv
from serialize.task import Outputs
from tests.serialize.compiler.support import (
    NUMBERS,
    TITANIC,
    Rows,
    answer,
    assert_compiles,
    compiled,
    iris,
    model_of,
    numbers,
    passengers,
    prepared,
    survived,
    titanic,
    words,
)
from tests.support.own_steps import FareShare

CLASSIFIERS = [
    LogisticRegression(max_iter=500),
    LogisticRegression(solver="liblinear"),
    SGDClassifier(loss="log_loss", random_state=0),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(20, random_state=0),
    ExtraTreesClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=20, random_state=0),
    HistGradientBoostingClassifier(max_iter=20, random_state=0),
    MLPClassifier((5,), max_iter=5, random_state=0),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    VotingClassifier(
        [("tree", DecisionTreeClassifier(max_depth=3)), ("line", LogisticRegression())], voting="soft", weights=[1, 3]
    ),
]

REGRESSORS = [
    LinearRegression(),
    Ridge(),
    RidgeCV(),
    PoissonRegressor(),
    RandomForestRegressor(10, random_state=0),
    GradientBoostingRegressor(n_estimators=20, random_state=0),
    HistGradientBoostingRegressor(max_iter=20, random_state=0),
    HistGradientBoostingRegressor(loss="poisson", max_iter=20, random_state=0),
]

STEPS: dict[str, Any] = {
    "most frequent, one-hot": prepared(words(strategy="most_frequent")),
    "constant, one-hot": prepared(words(strategy="constant", fill_value="none")),
    "a null is a category": prepared(OneHotEncoder(handle_unknown="ignore")),
    "infrequent categories": prepared(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)),
    "first category dropped": prepared(OneHotEncoder(handle_unknown="ignore", drop="first")),
    "unknown is refused": prepared(words(OneHotEncoder(), strategy="most_frequent")),
    "explicit categories": make_column_transformer(
        (OneHotEncoder(categories=[["male", "female"], ["S", "C"]], handle_unknown="ignore"), ["Sex", "Embarked"])
    ),
    "ordinal": prepared(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)),
    "target": prepared(TargetEncoder(random_state=0)),
    "numbers as categories": make_column_transformer(
        (words(strategy="most_frequent"), ["Pclass", "SibSp"]), (numbers(), ["Age"])
    ),
    "a column twice": prepared(OneHotEncoder(handle_unknown="ignore"), (OneHotEncoder(), ["Pclass"])),
    "indicator": make_column_transformer((SimpleImputer(add_indicator=True), NUMBERS)),
    "union": make_pipeline(
        ColumnTransformer([("kept", "passthrough", NUMBERS)]),
        make_union(SimpleImputer(), MissingIndicator(error_on_new=False)),
    ),
    "scalers": make_pipeline(
        make_column_transformer((SimpleImputer(), NUMBERS)), MinMaxScaler(clip=True), RobustScaler(), MaxAbsScaler()
    ),
    "scaled and selected after": make_pipeline(
        prepared(words(strategy="most_frequent")), StandardScaler(), SelectKBest(k=9)
    ),
    "selector and remainder": ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
            ("numbers", numbers(), NUMBERS),
            ("none", "drop", ["Sex"]),
        ]
    ),
    "pandas between steps": ColumnTransformer(
        [("numbers", numbers(), NUMBERS), ("flags", "passthrough", ["Alone"])]
    ).set_output(transform="pandas"),
    "categories and flags": make_column_transformer(
        (words(strategy="most_frequent"), ["Level", "Port", "Minor"]), ("passthrough", ["Alone"])
    ),
    "None for null": make_column_transformer(
        (words(missing_values=None, strategy="constant", fill_value="?"), ["Room"]), (numbers(), ["Kin", "Price"])
    ),
}


@pytest.mark.parametrize("name", ["titanic", "iris", "diabetes"])
def test_each_recipe_compiles(name: str) -> None:
    recipe = RECIPES[name]()
    assert_compiles(recipe.pipeline, recipe.X, recipe.y, **recipe.declared)


@pytest.fixture(scope="module")
def diabetes_csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A regression with a column of words and nulls."""
    rows = load_diabetes(as_frame=True, scaled=False).frame.iloc[::3]
    clinics = ["north" if age < 40 else "south" if age < 60 else None for age in rows["age"]]
    path = tmp_path_factory.mktemp("data") / "diabetes.csv"
    rows.assign(clinic=clinics, bmi=rows["bmi"].mask(rows["bmi"] > 33)).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("model", ["logistic", "forest", "boosting"])
def test_each_model_for_a_csv_compiles(model: ModelName, diabetes_csv: str) -> None:
    for path, target in ((str(TITANIC), "Survived"), (diabetes_csv, "target")):
        recipe = from_csv(path, target, model=model)
        assert_compiles(recipe.pipeline, recipe.X.iloc[::2], recipe.y.iloc[::2])


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda estimator: type(estimator).__name__)
def test_each_classifier_compiles_for_two_classes_and_for_three(classifier: Any) -> None:
    columns = prepared(words(strategy="most_frequent"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_compiles(make_pipeline(columns, classifier), passengers(), survived())
        if getattr(classifier, "solver", "") != "liblinear":
            assert_compiles(make_pipeline(StandardScaler(), classifier), *load_iris(return_X_y=True))


@pytest.mark.parametrize("regressor", REGRESSORS, ids=lambda estimator: type(estimator).__name__)
def test_each_regressor_compiles(regressor: Any) -> None:
    data = load_diabetes(as_frame=True, scaled=False)
    assert_compiles(make_pipeline(StandardScaler(), regressor), data.data.iloc[::3], data.target.iloc[::3])


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("model", ["linear", "trees"])
def test_each_kind_of_steps_compiles(name: str, model: str) -> None:
    estimator = LogisticRegression(max_iter=500) if model == "linear" else RandomForestClassifier(5, random_state=0)
    declared: dict[str, Any] = {"bounds": {"Fare": (0, None)}, "text": ["Sex"], "nullable": ["Pclass"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_compiles(make_pipeline(STEPS[name], estimator), passengers(), survived(), **declared)


def test_trees_that_accept_nulls_compile() -> None:
    X = passengers()[["Age", "Fare", "Kin", "Minor_"]]
    assert_compiles(HistGradientBoostingClassifier(max_iter=10), X, survived())
    assert_compiles(RandomForestClassifier(5, random_state=0), X[["Age", "Fare"]], survived())


def test_boosted_trees_that_split_by_category_compile() -> None:
    X = passengers()[["Level", "Port", "Age", "Room"]].assign(Room=lambda table: table["Room"].astype("category"))
    model = HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=3)
    assert_compiles(model, X, survived(), text=["Port"])
    assert any(tree.nodes["is_categorical"].any() for stage in model._predictors for tree in stage)


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    ],
)
def test_columns_that_accept_unseen_values_compile(encoder: Any) -> None:
    X = passengers()[["Level", "Port", "Embarked"]].assign(Deck=passengers()["Pclass"].astype("category"))

    assert_compiles(make_pipeline(encoder, LogisticRegression(max_iter=1000)), X, survived(), accept_unseen=True)


def test_a_word_that_the_imputer_takes_for_missing_is_replaced_though_no_row_has_it() -> None:
    imputed = words(missing_values="?", strategy="most_frequent")
    pipeline = make_pipeline(imputed, LogisticRegression()).fit(passengers()[["Sex"]], survived())

    model, rows = model_of(pipeline, passengers()[["Sex"]], accept_unseen=True)
    fast = compiled(model, rows)

    replaced, unseen = answer(fast, {"Sex": "?"}), answer(fast, {"Sex": "never seen"})
    assert replaced == pytest.approx(answer(model, {"Sex": "?"}))
    assert unseen == pytest.approx(answer(model, {"Sex": "never seen"}))
    assert replaced != pytest.approx(unseen)


def test_boosted_trees_that_split_by_category_compile_for_unseen_values() -> None:
    X = passengers()[["Level", "Port", "Age"]].assign(Deck=passengers()["Pclass"].astype("category"))
    model = HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=3, categorical_features="from_dtype")

    assert_compiles(model, X, survived(), accept_unseen=["Level", "Port", "Deck"])


def test_edge_rows_have_unseen_values_where_they_are_accepted() -> None:
    X = passengers()[["Level"]].assign(Deck=pd.Categorical(passengers()["Pclass"], [1, 2, 3, 4]))
    closed = infer_signature("frame", X, None, Declarations.of())
    opened = infer_signature("frame", X, None, Declarations.of(accept_unseen=True))

    assert {row["Level"] for row in edge_rows(closed, observations(X))} == {"female", "male"}
    assert {row["Deck"] for row in edge_rows(closed, observations(X))} == {1, 2, 3}
    assert {"", "nan", "never seen", "x" * 1000} <= {row["Level"] for row in edge_rows(opened, observations(X))}
    assert {4, -1, 256, 2**31} <= {row["Deck"] for row in edge_rows(opened, observations(X))}


@pytest.mark.parametrize("dtype", ["float32", "int64", "float64"])
def test_an_array_compiles_in_its_precision(dtype: str) -> None:
    X, y = load_iris(return_X_y=True)
    for estimator in (RandomForestClassifier(5, random_state=0), LogisticRegression(max_iter=500)):
        tolerance = 1e-6 if dtype == "float32" else 1e-12
        assert_compiles(make_pipeline(StandardScaler(), estimator), X.astype(dtype), y, tolerance)


def test_a_function_of_numpy_and_a_search_compile() -> None:
    logs = make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p), LogisticRegression())
    search = GridSearchCV(logs, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    bounds = {"Fare": (0, None), "Age": (0, None)}
    assert_compiles(search, passengers()[["Fare", "Age"]], survived(), bounds=bounds)


def test_a_tree_without_a_split_compiles() -> None:
    X = passengers()[["Fare"]].fillna(0)
    assert_compiles(RandomForestClassifier(2, min_samples_leaf=400), X, survived())


def test_forest_outputs_are_identical() -> None:
    pipeline = make_pipeline(prepared(words(strategy="most_frequent")), RandomForestClassifier(50, random_state=0))
    model, rows = model_of(pipeline.fit(passengers(), survived()), passengers())
    np.testing.assert_array_equal(compiled(model, rows).outputs(rows)[:, 1], model.outputs(rows)[:, 1])


def test_a_row_alone_gets_the_same_output_as_among_others() -> None:
    model, rows = titanic()
    fast = compiled(model, rows)
    np.testing.assert_allclose(np.vstack([fast.outputs([row]) for row in rows]), fast.outputs(rows), atol=1e-15)


def test_a_value_that_the_pipeline_refuses_is_refused() -> None:
    pipeline = make_pipeline(prepared(OneHotEncoder()), LogisticRegression(max_iter=500))
    model, rows = model_of(pipeline.fit(passengers(), survived()), passengers(), text=["Sex"])
    fast = compiled(model, rows)
    with pytest.raises(ValueError, match="cannot score the value 'neither'"):
        fast.outputs([rows[0], {**rows[1], "Sex": "neither"}])
    with pytest.raises(ValueError, match="no finite output"):
        compiled(*iris()).outputs([{**iris()[1][0], "x0": 1.7e308}])


OF_ANY_STEP: dict[str, tuple[Any, list[str]]] = {
    "a step of the user's own": (make_pipeline(FareShare(), LogisticRegression()), ["FareShare"]),
    "a lambda": (
        make_pipeline(SimpleImputer(), FunctionTransformer(lambda X: X + X[:, :1]), LogisticRegression()),
        ["FunctionTransformer"],
    ),
    "an estimator": (make_pipeline(SimpleImputer(), KNeighborsClassifier()), ["KNeighborsClassifier"]),
    "numbers scaled before they are encoded": (
        make_pipeline(StandardScaler(), OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
        ["OneHotEncoder"],
    ),
}


@pytest.mark.parametrize("name", OF_ANY_STEP)
def test_a_step_without_a_rule_is_called_itself(name: str) -> None:
    pipeline, native = OF_ANY_STEP[name]
    X = passengers()[["Fare", "Cabin"]].rename(columns=str.lower)
    X = X if isinstance(pipeline[0], FareShare) else X[["fare"]]
    model, rows = model_of(pipeline.fit(X, survived()), X)
    assert compiled(model, rows).native == native
    assert_compiles(pipeline, X, survived())


def test_many_categories_compile() -> None:
    X = pd.DataFrame({"ticket": [f"ticket {number}" for number in range(2000)] + ["ticket 1"]})
    y = np.arange(2001) % 3 == 0
    encoder = OneHotEncoder(handle_unknown="ignore")
    model, rows = model_of(make_pipeline(encoder, LogisticRegression()).fit(X, y), X)
    assert len(compile_model(model, rows).content or b"") < 200_000
    assert_compiles(make_pipeline(encoder, DecisionTreeClassifier(max_depth=2)), X, y)


def test_an_unexpected_error_becomes_a_reason() -> None:
    model, rows = titanic()
    del model.pipeline[-1].intercept_
    reason = compile_model(model, rows).reason
    assert reason is not None
    assert reason.startswith("It could not be compiled (")


def test_the_same_model_compiles_to_the_same_bytes() -> None:
    model, rows = titanic()
    assert compile_model(model, rows) == compile_model(model, rows)


def test_a_process_forks_with_a_compiled_model_that_was_used() -> None:
    model, rows = titanic()
    fast = compiled(model, rows)
    wanted = fast.outputs(rows)
    children = [_forked(fast, rows, wanted) for _ in range(3)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]


def _forked(fast: CompiledModel, rows: Rows, wanted: Outputs) -> int:
    child = os.fork()
    if not child:
        same = all(np.array_equal(fast.outputs(rows), wanted) for _ in range(5))
        os._exit(0 if same else 1)
    return child
