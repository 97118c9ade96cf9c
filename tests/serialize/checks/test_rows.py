"""dump refuses a model whose answers as JSON, alone, or by class differ from those of the pipeline."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from serialize import DumpError
from serialize.checks.rows import check_classes, check_rows
from serialize.declarations import Declarations
from serialize.frame import as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from tests.support.own_steps import OwnRule, centred, nearly_centred, nulls_named, shaken

RNG = np.random.default_rng(0)
NUMBERS = pd.DataFrame({"age": RNG.normal(40, 10, 60), "class": RNG.integers(1, 4, 60)})
Y = RNG.integers(0, 2, 60)
CANCER = load_breast_cancer(as_frame=True)
CANCER.data, CANCER.target = CANCER.data.iloc[:200, :8], CANCER.target[:200]
IRIS = load_iris(as_frame=True)


def checked(pipeline: Any, X: pd.DataFrame, y: Any, **options: Any) -> tuple[Model, list[str]]:
    """The model of a pipeline fitted on X and y, and the warnings of the checks."""
    fitted = pipeline.fit(X, y)
    container, table = as_table(X)
    model = Model(fitted, infer_task(fitted, **options), infer_signature(container, table, None, Declarations.of()))
    rows, outputs = observations(table), model.outputs_of(X)
    found = check_rows(model, X, rows, outputs, [0])
    check_classes(model, X, rows, outputs)
    return model, found


def test_a_null_taken_for_another_null_is_refused() -> None:
    mixed = pd.DataFrame({"c": pd.Series(["a", None, np.nan, "b"] * 15, dtype=object)})
    pipeline = make_pipeline(FunctionTransformer(nulls_named), OneHotEncoder(), LogisticRegression())

    with pytest.raises(DumpError, match=r"15 of 60 training rows.*mixes None and NaN"):
        checked(pipeline, mixed, [0, 0, 1, 1] * 15)


def test_a_pipeline_that_answers_at_random_is_refused() -> None:
    with pytest.raises(DumpError, match="is random"):
        checked(make_pipeline(FunctionTransformer(shaken), Ridge()), NUMBERS, Y.astype(float))


def test_a_step_that_computes_with_the_other_rows_is_refused_by_its_name() -> None:
    pipeline = make_pipeline(StandardScaler(), FunctionTransformer(centred), Ridge())

    with pytest.raises(DumpError, match=r"alone.*Step 'functiontransformer' \(FunctionTransformer\) computes with"):
        checked(pipeline, NUMBERS, Y.astype(float))


def test_the_transformer_of_columns_that_computes_with_the_other_rows_is_named() -> None:
    columns = make_column_transformer((StandardScaler(), ["class"]), (FunctionTransformer(centred), ["age"]))

    with pytest.raises(DumpError, match=r"'columntransformer' \(ColumnTransformer, its transformer 'functiontrans"):
        checked(make_pipeline(columns, LogisticRegression()), NUMBERS, Y)


def test_all_rows_are_scored_alone_and_in_small_batches_if_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(X: Any) -> Any:
        sizes.append(len(X))
        return X

    monkeypatch.setattr("serialize.checks.rows._SECONDS", 60)

    checked(make_pipeline(FunctionTransformer(noted), LogisticRegression()), NUMBERS, Y)

    assert sizes.count(1) > len(NUMBERS)
    assert sum(size for size in sizes if 1 < size < 20) >= len(NUMBERS) - 20


def test_an_estimator_that_is_no_pipeline_is_named() -> None:
    with pytest.raises(DumpError, match="OwnRule computes with"):
        checked(OwnRule(of_batch=True), NUMBERS, Y)


def test_a_small_difference_is_a_warning() -> None:
    _, found = checked(make_pipeline(FunctionTransformer(nearly_centred), LogisticRegression()), NUMBERS, Y)

    assert len(found) == 1
    assert re.search(r"Training row \d+ gets another output .* \(the difference is \d.*e-0[78]\); Step", found[0])


def test_a_pipeline_whose_rows_are_independent_has_no_warnings() -> None:
    assert checked(make_pipeline(StandardScaler(), LogisticRegression()), NUMBERS, Y)[1] == []


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "recall", "precision", "f1"])
@pytest.mark.parametrize("nested", [False, True])
def test_the_threshold_is_that_of_a_tuned_classifier(scoring: str, nested: bool) -> None:
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    tuned: Any = TunedThresholdClassifierCV(inner, scoring=scoring)
    pipeline = make_pipeline(FunctionTransformer(), tuned) if nested else tuned

    model, _ = checked(pipeline, CANCER.data, CANCER.target)

    assert model.task.threshold == tuned.best_threshold_ if not nested else pipeline[-1].best_threshold_
    assert (model.task.positive_class, model.task.ties) == (True, "pipeline")


@pytest.mark.parametrize("positive", ["benign", "malignant"])
def test_the_positive_class_is_that_of_a_fixed_threshold(positive: str) -> None:
    labels = np.array(["malignant", "benign"])[CANCER.target]
    fixed = FixedThresholdClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), threshold=0.2, pos_label=positive
    )

    model, _ = checked(fixed, CANCER.data, labels)

    assert (model.task.positive_class, model.task.threshold) == (positive, 0.2)


def test_the_other_class_as_the_positive_one_gets_the_rest_of_the_threshold() -> None:
    labels = np.array(["malignant", "benign"])[CANCER.target]
    fixed = FixedThresholdClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), threshold=0.2, pos_label="malignant"
    )

    model, _ = checked(fixed, CANCER.data, labels, positive_class="benign")

    assert (model.task.positive_class, model.task.threshold) == ("benign", 0.8)


def test_the_threshold_of_the_best_estimator_of_a_search_is_used() -> None:
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(FixedThresholdClassifier(inner), {"threshold": [0.3]})

    assert checked(search, CANCER.data, CANCER.target)[0].task.threshold == 0.3


def test_a_threshold_of_the_decision_function_is_refused_with_one_of_the_probability() -> None:
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    fixed = FixedThresholdClassifier(inner, threshold=3.0, response_method="decision_function")

    with pytest.raises(
        DumpError, match=r"Training row \d+: predict gives False.*Pass threshold=0\.9\d* to dump, which"
    ):
        checked(fixed, CANCER.data, CANCER.target)

    assert checked(fixed, CANCER.data, CANCER.target, threshold=0.953)[0].task.ties == "rule"


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(4),
        KNeighborsClassifier(2),
        RandomForestClassifier(4, random_state=0),
        DecisionTreeClassifier(max_depth=2, random_state=0),
    ],
)
@pytest.mark.parametrize("data", [CANCER, IRIS], ids=["binary", "multiclass"])
def test_the_classes_of_ties_are_those_of_predict(classifier: Any, data: Any) -> None:
    noisy = np.random.default_rng(0).permutation(data.target)

    model, _ = checked(classifier, data.data, noisy)

    rows = observations(data.data)
    labels = np.array(model.task.classes, dtype=object)
    assert list(labels[model.class_indices(rows)]) == [model.task.classes[i] for i in classifier.predict(data.data)]


@pytest.mark.parametrize("data", [CANCER, IRIS], ids=["binary", "multiclass"])
def test_a_classifier_whose_predict_is_another_rule_is_refused_with_what_to_do(data: Any) -> None:
    classifier = OwnRule()

    with pytest.raises(DumpError, match=r"Training row \d+: predict gives .*CalibratedClassifierCV\(classifier, ens"):
        checked(classifier, data.data, np.random.default_rng(0).permutation(data.target))


def test_a_rule_that_only_an_edge_row_shows_is_refused() -> None:
    with pytest.raises(DumpError, match=r"An observation with age .*: predict gives"):
        checked(OwnRule(only_beyond=1e6), NUMBERS, Y)


def test_a_label_that_is_not_a_class_is_refused() -> None:
    with pytest.raises(DumpError, match="predict of the pipeline gives 'perhaps', which is not in its classes_"):
        checked(OwnRule(label="perhaps"), NUMBERS, Y)
