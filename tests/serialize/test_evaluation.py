"""Metrics equal those of scikit-learn on held-out folds; importance is the score that shuffling a column loses."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from serialize import DumpError
from serialize.declarations import Declarations
from serialize.evaluation import cross_validate, encode, importances, in_sample, score
from serialize.frame import as_table
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.task import Task
from tests.support.own_steps import Claims

RNG = np.random.default_rng(1)
X = pd.DataFrame({"signal": RNG.normal(size=100), "noise": RNG.normal(size=100)})
Y = (X["signal"] + RNG.normal(scale=0.5, size=100) > 0).to_numpy()
BINARY = Task("binary", (False, True), True, 0.3)


def model_of(pipeline: Any, X: Any, y: Any) -> Model:
    container, table = as_table(X)
    return Model(pipeline.fit(X, y), infer_task(pipeline), infer_signature(container, table, None, Declarations()))


def test_binary_metrics_equal_scikit_learn_at_the_threshold() -> None:
    truth, proba = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.2])

    found = score(BINARY, truth, np.column_stack([1 - proba, proba]))

    assert found["accuracy"] == 0.6
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["roc_auc"] == skm.roc_auc_score(truth, proba)
    assert found["log_loss"] == skm.log_loss(truth, proba)
    assert found["brier_score"] == pytest.approx(np.mean((truth - proba) ** 2))


def test_the_positive_class_may_be_the_first() -> None:
    truth, proba = np.array([0, 1, 0]), np.array([0.9, 0.2, 0.8])

    found = score(Task("binary", ("bad", "good"), "bad", 0.5), truth, np.column_stack([proba, 1 - proba]))

    assert (found["accuracy"], found["recall"], found["roc_auc"]) == (1.0, 1.0, 1.0)


def test_an_undefined_metric_is_left_out() -> None:
    found = score(BINARY, np.array([1, 1]), np.array([[0.2, 0.8], [0.9, 0.1]]))

    assert "roc_auc" not in found
    assert "balanced_accuracy" not in found
    assert found["accuracy"] == 0.5


def test_multiclass_metrics_equal_scikit_learn() -> None:
    truth, probas = np.array([0, 1, 2, 2]), np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7], [0.6, 0, 0.4]])

    found = score(Task("multiclass", ("a", "b", "c")), truth, probas)

    assert found["accuracy"] == 0.75
    assert found["f1_macro"] == pytest.approx(skm.f1_score(truth, [0, 1, 2, 0], average="macro"))
    assert found["log_loss"] == skm.log_loss(truth, probas)


def test_regression_metrics_equal_scikit_learn() -> None:
    found = score(Task("regression"), np.array([1.0, 2.0, 4.0]), np.array([[1.0], [3.0], [5.0]]))

    assert found == pytest.approx(
        {"mean_absolute_error": 2 / 3, "root_mean_squared_error": (2 / 3) ** 0.5, "r2": 1 - 6 / 14, "bias": 2 / 3}
    )


def test_probabilities_in_single_precision_and_huge_values_are_scored_without_a_warning() -> None:
    probas = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], dtype="float32").astype(float)

    assert score(Task("multiclass", (1, 2, 3)), np.array([2, 0]), probas)["accuracy"] == 0.5
    assert "r2" in score(Task("regression"), np.array([1.0, 2.0]), np.array([[1.0], [2.5]]))
    assert "root_mean_squared_error" not in score(Task("regression"), np.array([1e300, 0]), np.array([[0], [1e300]]))


def test_cross_validation_scores_each_row_with_a_model_not_fitted_on_it() -> None:
    calls: list[int] = []

    found = cross_validate(LogisticRegression(), X, Y, threshold=0.3, done=lambda: calls.append(1))

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    held_out = cross_val_predict(LogisticRegression(), X, Y, cv=folds, method="predict_proba")[:, 1]
    assert found["method"] == "5-fold cross-validation"
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean((held_out >= 0.3) == Y))
    assert found["metrics"]["roc_auc"]["std"] > 0
    assert len(calls) == 5


@pytest.mark.parametrize(
    ("X", "y", "pipeline"),
    [
        (X.to_numpy(), Y.astype(int).tolist(), LogisticRegression()),
        (load_iris().data, load_iris().target_names[load_iris().target], LogisticRegression(max_iter=1000)),
        (X, X["signal"] * 2, Ridge()),
        (["good day", "bad night"] * 10, [1, 0] * 10, make_pipeline(TfidfVectorizer(), LogisticRegression())),
    ],
)
def test_cross_validation_takes_every_container_and_task(X: Any, y: Any, pipeline: Any) -> None:
    found = cross_validate(pipeline, X, y)["metrics"]

    assert found.get("accuracy", found.get("r2"))["mean"] > 0.7


@pytest.mark.parametrize(
    ("y", "pipeline", "says"),
    [
        ([1.0, 2.0, 3.0], Ridge(), "needs 5 rows or more, and there are 3"),
        ([0] * 10 + [1] * 4, LogisticRegression(), "needs 5 rows of each class, and 1 has 4; add rows"),
        (["a"] * 10, LogisticRegression(), "a in every row; add rows of another class"),
    ],
)
def test_too_few_rows_to_cross_validate_are_refused(y: list[Any], pipeline: Any, says: str) -> None:
    with pytest.raises(DumpError, match=says):
        cross_validate(pipeline, X[: len(y)], y)


def test_in_sample_metrics_name_their_method() -> None:
    model = model_of(LogisticRegression(), X, Y)

    found = in_sample(model, Y, model.outputs_of(X))

    assert found["method"] == "in-sample"
    assert found["metrics"]["accuracy"] == {"mean": pytest.approx(model.pipeline.score(X, Y))}


def test_a_useful_column_has_the_largest_importance() -> None:
    found = importances(model_of(LogisticRegression(), X, Y), X, Y)

    assert found["metric"] == "roc_auc"
    assert found["columns"]["signal"]["mean"] > 0.3
    assert abs(found["columns"]["noise"]["mean"]) < 0.05


def test_the_columns_of_a_wide_table_are_shuffled_once() -> None:
    wide = pd.concat([X, pd.DataFrame(RNG.normal(size=(100, 100))).add_prefix("n")], axis=1)

    found = importances(model_of(LogisticRegression(), wide, Y), wide, Y)

    assert {figure["std"] for figure in found["columns"].values()} == {0.0}
    assert max(found["columns"], key=lambda name: found["columns"][name]["mean"]) == "signal"


@pytest.mark.parametrize("container", [list, pd.Series, np.array])
def test_text_has_an_importance_in_every_container(container: Any) -> None:
    words, y = container(["good day", "bad night"] * 10), [1, 0] * 10
    model = model_of(make_pipeline(TfidfVectorizer(), LogisticRegression()), words, y)

    found = importances(model, as_table(words)[1], y)

    assert found["columns"]["x0"]["mean"] > 0.2


def test_labels_of_every_type_are_encoded() -> None:
    model = LogisticRegression().fit(X, Y)

    assert encode(infer_task(model), model, pd.Series([1, 0], dtype="Int64")).tolist() == [1, 0]
    assert encode(infer_task(model), model, [True, False]).tolist() == [1, 0]


def test_unknown_targets_are_refused() -> None:
    model = LogisticRegression().fit(X, Y)

    with pytest.raises(DumpError, match="'yes', a class that the model was not fitted on"):
        encode(infer_task(model), model, ["yes"])
    with pytest.raises(DumpError, match="not numbers, but the model is a regressor"):
        encode(Task("regression"), Ridge(), ["yes"])


def test_a_probability_that_rounds_above_one_is_scored_as_one() -> None:
    model = Claims(1 + 1e-12).fit(X, [0, 1] * 50)

    assert score(BINARY, np.array([0, 1]), model.predict_proba(X[:2]))["accuracy"] == 0.5
