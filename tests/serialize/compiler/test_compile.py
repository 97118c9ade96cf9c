"""A compiled model gives the outputs of its pipeline, on training rows and edge rows, or there is a reason for none."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
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
from serialize.compiler.equivalence import difference
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.compiler.runtime.program import Instruction, Program
from serialize.declarations import Declarations
from serialize.errors import ArtifactError
from serialize.frame import Row, as_array, as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.recipes import RECIPES
from serialize.recipes.csv import ModelName, from_csv
from serialize.signature import Scalar
from serialize.task import Outputs
from tests.support.by_column import by_column
from tests.support.own_steps import FareShare
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


class Wrong:
    """Gives the outputs of the model, except for one row."""

    def __init__(self, model: CompiledModel, row: Row) -> None:
        self.model, self.row = model, row

    def outputs(self, rows: Sequence[Row]) -> Outputs:
        wrong = np.array([[1e-8 if row == self.row else 0.0] for row in rows])
        return np.asarray(self.model.outputs(rows) + wrong, dtype=np.float64)


def test_one_wrong_row_among_all_is_found() -> None:
    model, rows = titanic()
    fast = compiled(model, rows)
    assert difference(model, fast.outputs, rows) is None
    found = difference(model, Wrong(fast, rows[77]).outputs, rows)
    assert found is not None
    assert "differs for training row 77" in found
    assert "a difference of 1e-08" in found


def test_one_wrong_edge_row_is_found() -> None:
    model, rows = titanic()
    edge = {**rows[0], "Cabin": "never seen"}
    found = difference(model, Wrong(compiled(model, rows), edge).outputs, rows)
    assert found is not None
    assert "differs for an edge row" in found
    assert "Cabin 'never seen'" in found


def test_a_row_that_only_the_pipeline_refuses_is_found() -> None:
    model, rows = iris()
    unlimited = tuple(replace(column, largest=1e300) for column in model.signature)
    model = replace(model, signature=replace(model.signature, columns=unlimited))
    fast = compiled(model, rows)

    def always(asked: Sequence[Row]) -> Outputs:
        return fast.outputs([rows[0] for _ in asked]) if len(asked) == 1 else fast.outputs(asked)

    found = difference(model, always, rows)
    assert found is not None
    assert "only the pipeline refuses it" in found


@pytest.mark.parametrize("part", ["weights", "words"])
def test_a_damaged_model_is_found(part: str) -> None:
    model, rows = titanic()
    content = compile_model(model, rows).content
    assert content is not None
    program = Program.from_bytes(content)
    damaged = replace(program, instructions=tuple(_damaged(each, part) for each in program.instructions))
    found = difference(model, CompiledModel(damaged.to_bytes(), model).outputs, rows)
    assert found is not None
    assert "training row" in found


def _damaged(instruction: Instruction, part: str) -> Instruction:
    given = dict(instruction.parameters)
    if part == "weights" and instruction.operation == "matmul":
        return replace(instruction, parameters={"weights": given["weights"] + 1e-5})
    if part == "words" and instruction.operation == "codes":
        known = [["feminine" if value == "female" else value, code] for value, code in given["known"]]
        return replace(instruction, parameters={**given, "known": known})
    return instruction


def test_damaged_content_and_the_model_of_another_pipeline_are_refused() -> None:
    model, rows = titanic()
    content = compile_model(model, rows).content
    assert content is not None
    with pytest.raises(ArtifactError, match="cannot be read"):
        CompiledModel(content[:100], model)
    other, _ = iris()
    for task, signature in ((model.task, other.signature), (other.task, model.signature)):
        with pytest.raises(ArtifactError, match="does not belong to this pipeline"):
            CompiledModel(content, replace(model, task=task, signature=signature))


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


def titanic() -> tuple[Model, Rows]:
    """The titanic recipe on its first 200 rows."""
    recipe = RECIPES["titanic"]()
    X = recipe.X.iloc[:200]
    return model_of(recipe.pipeline.fit(X, recipe.y.iloc[:200]), X, **recipe.declared)


def iris() -> tuple[Model, Rows]:
    """Iris from an array."""
    X, y = load_iris(return_X_y=True)
    return model_of(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X)
