"""The task of a fitted estimator: its kind, labels, positive class and threshold."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV  # noqa: F401 - the lines in refusals use it
from sklearn.cluster import DBSCAN, KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge, RidgeClassifier, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from serialize import DumpError, dump, load
from serialize.frame import observations
from serialize.infer_task import infer_task
from serialize.task import Task
from tests.support.own_steps import Claims

X = [[0.0], [1.0], [2.0], [3.0]]


def fitted(y: Any) -> LogisticRegression:
    return LogisticRegression().fit(X, y)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([0, 1, 0, 1], (False, True)),
        ([0.0, 1.0, 0.0, 1.0], (False, True)),
        (np.array([True, False, True, False]), (False, True)),
        (pd.Series([0, 1, 0, 1], dtype="Int64"), (False, True)),
        ([1, 2, 1, 2], (1, 2)),
        ([-1, 1, -1, 1], (-1, 1)),
        (["no", "yes", "no", "yes"], ("no", "yes")),
        (pd.Series(["no", "yes", "no", "yes"], dtype="category"), ("no", "yes")),
        ([0, 1, 2, 2], (0, 1, 2)),
        (["a", "b", "c", "c"], ("a", "b", "c")),
    ],
)
def test_labels_have_json_types_and_0_and_1_become_booleans(y: Any, classes: tuple[Any, ...]) -> None:
    task = infer_task(fitted(y))

    assert task.classes == classes
    assert list(map(type, task.classes)) == list(map(type, classes))
    assert task.kind == ("binary" if len(classes) == 2 else "multiclass")


def test_the_defaults_are_the_second_class_and_a_threshold_of_one_half() -> None:
    task = infer_task(fitted(["no", "yes", "no", "yes"]))
    other = infer_task(fitted([0, 1, 0, 1]), positive_class=0, threshold=np.float64(0.25))

    assert (task.positive_class, task.negative_class, task.positive_index, task.threshold) == ("yes", "no", 1, 0.5)
    assert (other.positive_class, other.negative_class, other.positive_index) == (False, True, 0)
    assert (other.threshold, type(other.threshold)) == (0.25, float)


def test_classes_may_be_a_plain_list() -> None:
    assert infer_task(Claims().fit(X, ["a", "b", "a", "b"])).classes == ("a", "b")


def test_a_regressor_has_no_classes() -> None:
    assert infer_task(make_pipeline(StandardScaler(), Ridge()).fit(X, [1.0, 2.0, 3.0, 4.0])) == Task("regression")


def test_a_task_survives_json() -> None:
    task = infer_task(fitted(["no", "yes", "no", "yes"]), threshold=0.3)

    assert Task.from_json({**task.to_json(), "name": "passed over"}) == task


TWO = np.array([[0, 1], [1, 0], [0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("estimator", "options", "says"),
    [
        (LogisticRegression(), {}, "LogisticRegression is not fitted; call its fit"),
        (make_pipeline(StandardScaler(), LogisticRegression()), {}, "Pipeline is not fitted"),
        (GridSearchCV(LogisticRegression(), {"C": [1]}), {}, "GridSearchCV is not fitted"),
        (LogisticRegression, {}, "not a scikit-learn estimator"),
        (object(), {}, "object is not a scikit-learn estimator"),
        (
            LinearSVC().fit(X, [0, 1, 0, 1]),
            {},
            r"no predict_proba.*`CalibratedClassifierCV\(model, ensemble=False\)\.fit\(X, y\)`",
        ),
        (StandardScaler().fit(X), {}, "has no predict"),
        (KMeans(2, n_init=1).fit(X), {}, "neither a classifier nor a regressor"),
        (RandomForestClassifier(2).fit(X, [1, 1, 1, 1]), {}, "single class; fit it on rows of at least two"),
        (RandomForestClassifier(2).fit(X, TWO), {}, "several outputs"),
        (MultiOutputClassifier(Perceptron()).fit(X, TWO), {}, "several outputs.*one model per output"),
        (fitted([0, 1, 0, 1]), {"threshold": 1.5}, "threshold 1.5 is not a probability; give a number from 0 to 1"),
        (fitted([0, 1, 0, 1]), {"threshold": float("nan")}, "threshold nan"),
        (fitted([0, 1, 0, 1]), {"threshold": "0.5"}, "threshold '0.5'"),
        (fitted([0, 1, 0, 1]), {"positive_class": "yes"}, "'yes' is not a class of the model; the classes are"),
        (fitted([0, 1, 2, 2]), {"threshold": 0.5}, "for two classes; this model has 3"),
        (LinearRegression().fit(X, [1.0, 2.0, 3.0, 4.0]), {"positive_class": 1}, "this model is a regressor"),
    ],
)
def test_an_unusable_estimator_is_refused(estimator: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DumpError, match=says):
        infer_task(estimator, **options)


def test_labels_that_json_cannot_carry_are_refused() -> None:
    model: Any = Claims().fit(X, [0, 1, 0, 1])
    model.classes_ = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")

    with pytest.raises(DumpError, match="make the classes strings, integers or booleans"):
        infer_task(model)


FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
WITH_NULLS = FRAME.assign(b=FRAME["b"].where(FRAME["a"] > -1))
TARGET = np.arange(40) % 3 > 0
TARGETS = np.column_stack([TARGET, np.arange(40) % 2])


def prepared(final: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), final)


ADVISED: dict[str, tuple[Any, Any]] = {
    "LinearSVC": (prepared(LinearSVC()), TARGET),
    "RidgeClassifier": (prepared(RidgeClassifier()), TARGET),
    "Perceptron": (prepared(Perceptron()), TARGET),
    "SGDClassifier with hinge loss": (prepared(SGDClassifier(random_state=0)), TARGET),
    "SVC": (prepared(SVC()), TARGET),
    "a search": (GridSearchCV(prepared(LinearSVC()), {"linearsvc__C": [1]}, cv=2), TARGET),
    "hard voting": (prepared(VotingClassifier([("one", GaussianNB())])), TARGET),
    "output codes": (prepared(OutputCodeClassifier(Perceptron(), random_state=0)), TARGET),
    "IsolationForest": (prepared(IsolationForest(n_estimators=10, random_state=0)), None),
    "OneClassSVM": (prepared(OneClassSVM()), None),
    "LocalOutlierFactor": (prepared(LocalOutlierFactor(5)), None),
    "KMeans": (prepared(KMeans(3, n_init=1, random_state=0)), None),
    "DBSCAN": (prepared(DBSCAN(0.4, min_samples=3)), None),
    "GaussianMixture": (prepared(GaussianMixture(2, random_state=0)), None),
    "a transformer": (make_pipeline(SimpleImputer(), StandardScaler()), TARGET),
    "ClassifierChain": (prepared(ClassifierChain(LogisticRegression())), TARGETS),
    "MultiOutputClassifier": (prepared(MultiOutputClassifier(LogisticRegression())), TARGETS),
    "a forest of two targets": (prepared(RandomForestClassifier(5, random_state=0)), TARGETS),
    "MultiOutputRegressor": (prepared(MultiOutputRegressor(Ridge())), TARGETS),
    "RegressorChain": (prepared(RegressorChain(Ridge())), TARGETS),
    "a regressor of two targets": (prepared(LinearRegression()), pd.DataFrame(TARGETS)),
    "two targets for several classes": (prepared(MLPClassifier(5, max_iter=2000, random_state=0)), TARGETS),
}


@pytest.mark.long
@pytest.mark.parametrize("steps", ["pipeline", "alone"])
@pytest.mark.parametrize("case", ADVISED)
def test_a_refusal_gives_the_lines_that_make_a_model_to_dump(
    case: str, steps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, y = ADVISED[case]
    model, X = (
        (pipeline, WITH_NULLS) if steps == "pipeline" else (getattr(pipeline, "steps", [(0, pipeline)])[-1][1], FRAME)
    )
    known: dict[str, Any] = {**globals(), "model": clone(model).fit(X, y), "X": X, "y": y}
    with pytest.raises(DumpError) as refused:
        dump(known["model"], X, np.zeros(40) if y is None else y, tmp_path / "artifact")

    *statements, line = re.findall("`([^`]+)`", str(refused.value))
    for statement in statements:
        exec(statement, known)
    monkeypatch.setattr("serialize.writing.steps._verify_in_new_process", lambda folder: load(folder).verify_all())
    advised = eval(line, known)
    artifact = dump(advised, X, known["y"], tmp_path / "artifact")

    assert "\n" not in str(refused.value)
    assert ". " not in str(refused.value)
    assert len(artifact.model.outputs(observations(X))) == 40
