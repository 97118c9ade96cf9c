"""The scores made from the outputs of a model."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline

from serialize.errors import RefusedValue
from serialize.frame import Row
from serialize.model import Model
from serialize.task import TIE, Indices, Outputs, Task
from service.errors import InvalidBody
from service.prediction.observation import Observation
from service.prediction.scoring import ClassesFunction, OutputsFunction, Score, Scorer
from tests.serialize.compiler.support import compiled, model_of, passengers, prepared, words
from tests.service.prediction.arrays.support import each_score
from tests.support.by_column import by_column, of_columns


def never(rows: Sequence[Mapping[str, Any]]) -> Indices:
    raise AssertionError("there is no tie")


def scorer_of(task: Task, outputs: OutputsFunction, classes: ClassesFunction = never) -> Scorer:
    """A scorer whose outputs by column are those of the rows."""
    return Scorer(task, outputs, classes, of_columns(outputs))


def observation(x: float) -> Observation:
    return Observation(1, "1", {"x": x}, "")


def test_the_positive_class_is_predicted_above_the_threshold() -> None:
    scorer = scorer_of(Task("binary", ("no", "yes"), "no", 0.3), lambda rows: np.array([[0.31, 0.69], [0.29, 0.71]]))

    assert scorer.score([observation(0), observation(1)]) == [Score("no", 0.31), Score("yes", 0.29)]


def test_multiclass_predicts_the_most_probable_class() -> None:
    scorer = scorer_of(Task("multiclass", (1, 2, 3)), lambda rows: np.array([[0.2, 0.5, 0.3]]))

    assert scorer.score([observation(0)]) == [Score(2, 0.5, {"1": 0.2, "2": 0.5, "3": 0.3})]


def test_a_difference_as_large_as_the_tolerance_is_a_tie() -> None:
    scorer = scorer_of(
        Task("binary", ("no", "yes"), "yes", 0.0), lambda rows: np.array([[1 - TIE, TIE]]), lambda _: np.array([0])
    )

    assert scorer.score([observation(0)]) == [Score("no", TIE)]


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        (Task("binary", ("no", "yes"), "yes", 0.3), [[0.7, 0.3], [0.7, 0.3 + 1e-12], [0.6, 0.4]]),
        (Task("multiclass", ("no", "yes", "perhaps")), [[0.4, 0.4, 0.2], [0.4, 0.4 - 1e-12, 0.2], [0.2, 0.5, 0.3]]),
    ],
)
def test_the_pipeline_decides_ties(task: Task, outputs: list[list[float]]) -> None:
    asked: list[float] = []

    def classes(rows: Sequence[Mapping[str, Any]]) -> Indices:
        asked.extend(row["x"] for row in rows)
        return np.array([0, 1])

    scorer = scorer_of(task, lambda rows: np.array(outputs), classes)
    scores = scorer.score([observation(x) for x in range(3)])

    assert [score.predicted_class for score in scores] == ["no", "yes", "yes"]
    assert asked == [0, 1]
    assert [score.proba for score in scores][:2] == (
        [0.3, 0.3 + 1e-12] if task.kind == "binary" else [0.4, 0.4 - 1e-12]
    )


def test_a_regression_predicts_a_value() -> None:
    scorer = scorer_of(Task("regression"), lambda rows: np.array([[4.5]]))

    assert scorer.score([observation(0)]) == [Score(predicted_value=4.5)]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_output_that_is_not_finite_is_refused(bad: float) -> None:
    scorer = scorer_of(Task("regression"), lambda rows: np.array([[0.5], [bad]]))

    with pytest.raises(InvalidBody) as by_row:
        scorer.score([observation(0), observation(1)])
    with pytest.raises(InvalidBody) as by_columns:
        scorer.score_columns({"x": [0, 1]})

    assert by_columns.value.faults == by_row.value.faults


def test_a_row_that_the_model_refuses_does_not_fail_the_other_rows() -> None:
    def outputs(rows: Sequence[Mapping[str, Any]]) -> Outputs:
        if any(row["x"] == 13 for row in rows):
            raise ValueError("unlucky")
        if any(row["x"] == 14 for row in rows):
            raise MemoryError
        return np.array([[float(row["x"])] for row in rows])

    scores = scorer_of(Task("regression"), outputs).score_apart([observation(x) for x in (12, 13, 14, 15)])

    assert scores[0] == Score(predicted_value=12.0)
    assert isinstance(scores[1], InvalidBody)
    assert isinstance(scores[2], MemoryError)
    assert scores[3] == Score(predicted_value=15.0)


def test_a_value_that_the_model_refuses_by_name_is_named() -> None:
    def outputs(rows: Sequence[Mapping[str, Any]]) -> Outputs:
        if any(row["x"] > 13 for row in rows):
            raise RefusedValue("x", 14, "another number than y")
        return np.array([[row["x"]] for row in rows])

    first, second = scorer_of(Task("regression"), outputs).score_apart([observation(13), observation(14)])

    assert first == Score(predicted_value=13)
    assert isinstance(second, InvalidBody)
    (fault,) = second.faults
    assert fault.to_json() == {
        "pointer": "/observation/x",
        "detail": "x: expected another number than y; got 14",
        "value": 14,
        "expected": "another number than y",
    }


TASKS = {
    "binary": Task("binary", ("no", "yes"), "yes", 0.3),
    "the first class is positive": Task("binary", (False, True), False, 0.7),
    "multiclass": Task("multiclass", ("no", "yes", "perhaps")),
    "regression": Task("regression"),
}
ABOUT = [0.0, 0.3, 0.3 + 1e-12, 0.3 - 1e-6, 0.3 + 1.1e-6, 0.5, 0.5 - 9e-7, 0.7, 0.7 + 1e-12, 1.0]


@pytest.mark.parametrize("name", TASKS)
@given(data=st.data())
def test_columns_get_the_scores_of_the_observations_and_ask_for_the_same_ties(name: str, data: st.DataObject) -> None:
    task = TASKS[name]
    width = len(task.classes) or 1
    number = st.sampled_from(ABOUT) | st.floats(0, 1)
    outputs = np.array(data.draw(st.lists(st.lists(number, min_size=width, max_size=width), min_size=1, max_size=9)))
    asked: list[list[float]] = []

    def classes(rows: Sequence[Mapping[str, Any]]) -> Indices:
        asked.append([row["x"] for row in rows])
        return np.array([row["x"] % width for row in rows])

    scorer = scorer_of(task, lambda rows: outputs, classes)
    by_row = scorer.score([observation(x) for x in range(len(outputs))])
    columns = scorer.score_columns({"x": range(len(outputs))})

    assert repr(each_score(task, columns)) == repr(by_row)
    assert len(asked) in {0, 2}
    assert asked[:1] == asked[1:]


def test_the_types_of_scores_by_column_are_those_of_python() -> None:
    task = Task("multiclass", ("no", "yes", "perhaps"))
    scores = scorer_of(task, lambda rows: np.array([[0.2, 0.5, 0.3]])).score_columns({"x": [0]})

    assert repr(scores[:2]) == "([0.5], [1])"


@pytest.mark.parametrize("error", [ValueError("unlucky"), MemoryError(), RefusedValue("x", 1, "another number")])
def test_columns_raise_the_errors_of_the_model(error: Exception) -> None:
    def outputs(rows: Sequence[Row]) -> Outputs:
        raise error

    with pytest.raises(type(error)) as raised:
        scorer_of(Task("regression"), outputs).score_columns({"x": [0]})

    assert raised.value is error


NULLABLE = ["Sex", "Cabin", "Embarked", "Pclass", "Age", "SibSp", "Parch", "Fare"]


@cache
def scorers(kind: str) -> tuple[Model, tuple[Scorer, Scorer], list[dict[str, Any]]]:
    """A model of passengers that accepts nulls in all columns, its scorers by the pipeline and by the compiled form,
    and observations with nulls. Many of those of a classifier are ties, as two deep trees give them."""
    X = passengers()[NULLABLE].iloc[::2]
    trees: dict[str, Any] = {"n_estimators": 2, "random_state": 0}
    target = {"binary": X["Age"] > 30, "multiclass": X["Pclass"], "regression": X["Fare"].fillna(0)}[kind]
    final = RandomForestRegressor(**trees) if kind == "regression" else RandomForestClassifier(**trees)
    pipeline = make_pipeline(prepared(words(strategy="most_frequent")), final).fit(X, target)
    model, rows = model_of(pipeline, X, nullable=NULLABLE, text=["Cabin"])
    assert all(column.nullable for column in model.signature)
    forms = (model, compiled(model, rows))
    chosen = rows[::20]
    if kind != "regression":
        ties = np.flatnonzero(model.task.tied(model.outputs(rows)))[:20]
        assert len(ties) > 5
        chosen += [rows[i] for i in ties]
    pipeline_scorer, compiled_scorer = (
        Scorer(model.task, form.outputs, model.class_indices, form.outputs_by_column) for form in forms
    )
    return model, (pipeline_scorer, compiled_scorer), chosen


@pytest.mark.parametrize("form", [0, 1], ids=["pipeline", "compiled"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@settings(max_examples=10)
@given(data=st.data())
def test_real_models_score_columns_with_nulls_as_they_score_observations(
    kind: str, form: int, data: st.DataObject
) -> None:
    model, both, rows = scorers(kind)
    changed = [
        {**row, **dict.fromkeys(data.draw(st.sets(st.sampled_from(NULLABLE))))}
        for row in data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=20))
    ]

    columns = both[form].score_columns(by_column(changed))

    assert each_score(model.task, columns) == both[form].score([Observation(1, "1", row, "") for row in changed])
