"""A dumped model gives the outputs of the notebook; what cannot be served is refused."""

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from serialize import ArtifactError, DumpError, cross_validate, dump, load
from serialize.transformers import null_blind_one_hot
from tests.support.own_steps import Claims, FareShare, centred, nulls_named, shaken
from tests.support.ship import (
    AGES,
    CLASSES,
    FARES,
    FRAME,
    NUMBERS,
    PORTS,
    RANKS,
    ROWS,
    SURVIVED,
    WORDS,
    apart,
    columns,
    ported,
    with_nulls,
)

LOGISTIC = functools.partial(LogisticRegression, max_iter=1000)
NAMED = functools.partial(FunctionTransformer, nulls_named)
CATEGORIES = FRAME.astype({"port": "category"}).assign(
    deck=pd.Categorical(with_nulls(RANKS), [3, 2, 1, 0], ordered=True)
)
BOOSTED = {"categorical_features": "from_dtype", "max_iter": 10}

CLASSIFIERS: dict[str, tuple[Any, Any, Any]] = {
    "logistic": (make_pipeline(columns(), LOGISTIC()), FRAME, SURVIVED),
    "three string labels": (make_pipeline(columns(), LOGISTIC()), FRAME, CLASSES),
    "liblinear, nulls as no category": (
        make_pipeline(
            make_column_transformer((null_blind_one_hot(FRAME[["port"]]), ["port"]), (SimpleImputer(), ["age"])),
            LOGISTIC(solver="liblinear"),
        ),
        FRAME,
        SURVIVED,
    ),
    "forest with jobs": (make_pipeline(columns(), RandomForestClassifier(10, n_jobs=2)), FRAME, SURVIVED),
    "grid search": (
        GridSearchCV(make_pipeline(columns(), LOGISTIC()), {"logisticregression__C": [1, 2]}),
        FRAME,
        CLASSES,
    ),
    "voting": (VotingClassifier([("a", LOGISTIC()), ("b", GaussianNB())], voting="soft"), NUMBERS, SURVIVED),
    "calibrated": (CalibratedClassifierCV(LinearSVC(), cv=2), NUMBERS, SURVIVED),
    "boosting on categories": (HistGradientBoostingClassifier(**BOOSTED), CATEGORIES, SURVIVED),
    "own transformer on None": (
        make_pipeline(FareShare(), LOGISTIC()),
        pd.DataFrame({"fare": FARES, "cabin": ported(with_nulls(PORTS), object).port}),
        SURVIVED,
    ),
    "own classifier": (Claims(0.3), NUMBERS, SURVIVED),
    "numpy function": (make_pipeline(FunctionTransformer(np.arctan), LOGISTIC()), NUMBERS, SURVIVED),
    "pandas output": (
        make_pipeline(
            make_column_transformer((SimpleImputer(), ["age"]), ("passthrough", ["rank"])).set_output(
                transform="pandas"
            ),
            LOGISTIC(),
        ),
        FRAME,
        SURVIVED,
    ),
    "text in a series": (make_pipeline(TfidfVectorizer(), LOGISTIC()), pd.Series(WORDS, name="words"), SURVIVED),
    "text in a list": (make_pipeline(TfidfVectorizer(), LOGISTIC()), WORDS, SURVIVED),
    "text in a column": (
        make_pipeline(make_column_transformer((TfidfVectorizer(), "words"), remainder=SimpleImputer()), LOGISTIC()),
        NUMBERS.assign(words=WORDS),
        SURVIVED,
    ),
    "array": (make_pipeline(SimpleImputer(), LOGISTIC()), FRAME[["age", "rank"]].to_numpy(), SURVIVED),
    "array of strings": (
        make_pipeline(OneHotEncoder(), LOGISTIC()),
        np.column_stack([PORTS, CLASSES]).astype(str),
        SURVIVED,
    ),
    "array of objects": (
        make_pipeline(NAMED(), OneHotEncoder(), LOGISTIC()),
        np.array([with_nulls(PORTS), with_nulls(PORTS, np.nan)], dtype=object).T,
        SURVIVED,
    ),
    "list of mixed rows": (
        make_pipeline(OneHotEncoder(), LOGISTIC()),
        [list(row) for row in zip(PORTS, RANKS.tolist(), strict=True)],
        SURVIVED,
    ),
    "odd names and an index of dates": (
        LOGISTIC(),
        NUMBERS.set_axis(["", "_class.é /~"], axis=1).set_index(pd.date_range("2026-01-01", periods=ROWS)),
        SURVIVED,
    ),
    "columns that are ignored": (
        make_pipeline(columns(), LOGISTIC()),
        FRAME.assign(id=[f"p{i}" for i in range(ROWS)], void=np.nan),
        SURVIVED,
    ),
    "whole numbers beyond a float": (
        make_pipeline(StandardScaler(), LOGISTIC()),
        NUMBERS.assign(rank=2**53 + 1 + 2 * RANKS),
        SURVIVED,
    ),
    "huge numbers": (HistGradientBoostingClassifier(max_iter=5), NUMBERS.assign(age=AGES * 1e306), SURVIVED),
}


@pytest.mark.long
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("case", CLASSIFIERS)
def test_a_classifier_is_served_as_the_notebook_had_it(case: str, tmp_path: Path) -> None:
    pipeline, X, y = CLASSIFIERS[case]
    pipeline.fit(X, y)

    artifact = dump(pipeline, X, y, tmp_path / "artifact")

    assert apart(artifact, X, pipeline.predict_proba(X)) <= 1e-9


REGRESSORS: dict[str, tuple[Any, Any, Any]] = {
    "ridge": (make_pipeline(columns(), Ridge()), FRAME, FARES),
    "target in a frame": (LinearRegression(), NUMBERS, pd.DataFrame({"fare": FARES})),
    "boosting on categories": (HistGradientBoostingRegressor(**BOOSTED), CATEGORIES, FARES),
    "forest with jobs": (make_pipeline(columns(), RandomForestRegressor(10, n_jobs=2)), FRAME, FARES),
    "transformed target": (TransformedTargetRegressor(Ridge(), func=np.arcsinh, inverse_func=np.sinh), NUMBERS, FARES),
    "huge target": (RandomForestRegressor(3), NUMBERS, FARES * 1e200),
}


@pytest.mark.long
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("case", REGRESSORS)
def test_a_regressor_is_served_as_the_notebook_had_it(case: str, tmp_path: Path) -> None:
    pipeline, X, y = REGRESSORS[case]
    expected = pipeline.fit(X, y).predict(X)

    artifact = dump(pipeline, X, y, tmp_path / "artifact")

    assert apart(artifact, X, expected) <= 1e-9 * max(1.0, abs(expected).max())


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning")
def test_a_support_vector_machine_with_probabilities_is_served_by_a_threshold(tmp_path: Path) -> None:
    pipeline = make_pipeline(columns(), SVC(probability=True, random_state=0)).fit(FRAME, SURVIVED)

    with pytest.raises(DumpError, match="Pass threshold="):  # its predict does not follow from its probabilities
        dump(pipeline, FRAME, SURVIVED, tmp_path / "artifact")
    artifact = dump(pipeline, FRAME, SURVIVED, tmp_path / "artifact", threshold=0.5)

    assert apart(artifact, FRAME, pipeline.predict_proba(FRAME)) <= 1e-9


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("null", [None, np.nan, pd.NA])
@pytest.mark.parametrize("dtype", ["object", "str", "string", "category"])
def test_the_null_of_a_string_column_is_the_same_null_when_it_is_served(dtype: str, null: Any, tmp_path: Path) -> None:
    X = ported(with_nulls(PORTS, null), dtype)[["port"]]
    pipeline = make_pipeline(NAMED(), OneHotEncoder(), LOGISTIC()).fit(X, SURVIVED)

    artifact = dump(pipeline, X, SURVIVED, tmp_path / "artifact")

    assert apart(artifact, X, pipeline.predict_proba(X)) <= 1e-9


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    "ages",
    [
        pd.Series(with_nulls(AGES), dtype="float32"),
        pd.Series(with_nulls(AGES), dtype="Float64"),
        pd.Series(with_nulls(RANKS), dtype="Int64"),
        pd.Series(with_nulls(RANKS), dtype="UInt8"),
        pd.Series(with_nulls(RANKS), dtype="object"),
        pd.Series(with_nulls(RANKS > 1), dtype="boolean"),
        pd.Series(with_nulls(RANKS > 1), dtype="object"),
        pd.Series(RANKS > 1),
        pd.Series(RANKS, dtype="uint8"),
    ],
    ids=lambda ages: str(ages.dtype),
)
def test_numbers_and_booleans_of_every_dtype_are_served(ages: "pd.Series[Any]", tmp_path: Path) -> None:
    X = FRAME.assign(age=ages)
    pipeline = make_pipeline(columns(), LOGISTIC()).fit(X, SURVIVED)

    artifact = dump(pipeline, X, SURVIVED, tmp_path / "artifact", nullable=["age"])

    assert apart(artifact, X, pipeline.predict_proba(X)) <= 1e-9
    assert np.isfinite(artifact.model.outputs([{"age": None, "rank": 1, "port": "S"}])).all()


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    "y",
    [
        SURVIVED.tolist(),
        SURVIVED.astype(bool),
        pd.Series(SURVIVED, dtype="Int64", index=range(ROWS, 0, -1)),
        pd.Series(SURVIVED.astype(bool), dtype="boolean"),
        pd.DataFrame({"survived": SURVIVED}).survived,
        pd.Series(np.where(SURVIVED, "yes", "no")),
        pd.Series(np.where(SURVIVED, "yes", "no"), dtype="category"),
        SURVIVED.astype(float),
    ],
)
def test_a_target_may_come_in_any_form(y: Any, tmp_path: Path) -> None:
    pipeline = LOGISTIC().fit(NUMBERS, y)

    artifact = dump(pipeline, NUMBERS, y, tmp_path / "artifact", metrics="in-sample")

    assert artifact.manifest.task.classes in ((False, True), ("no", "yes"))
    assert artifact.manifest.metrics["metrics"]["accuracy"]["mean"] == pytest.approx(pipeline.score(NUMBERS, y))


@pytest.mark.usefixtures("in_this_process")
def test_the_columns_have_the_order_of_the_training_rows(tmp_path: Path) -> None:
    pipeline = make_pipeline(columns(), LOGISTIC()).fit(FRAME, SURVIVED)
    turned = FRAME[["port", "rank", "age"]]

    artifact = dump(pipeline, turned, SURVIVED, tmp_path / "artifact")

    assert artifact.model.signature.names == ("port", "rank", "age")
    assert apart(artifact, turned, pipeline.predict_proba(FRAME)) <= 1e-9


@pytest.mark.usefixtures("in_this_process")
def test_declarations_are_in_the_signature(tmp_path: Path) -> None:
    pipeline = make_pipeline(columns(), LOGISTIC()).fit(FRAME, SURVIVED)
    figures = {"method": "by hand", "metrics": {"accuracy": {"mean": 0.5}}}

    artifact = dump(
        pipeline,
        FRAME,
        SURVIVED,
        tmp_path / "artifact",
        name="où",
        threshold=0.3,
        positive_class=0,
        metrics=figures,
        bounds={"age": (0, 120)},
        categories={"port": ["C", "Q", "S", "X"]},
        nullable=["rank"],
    )

    manifest = load(tmp_path / "artifact").manifest
    assert (manifest.name, manifest.task.threshold, manifest.task.positive_class) == ("où", 0.3, False)
    assert manifest.metrics == figures
    age, rank, port = artifact.manifest.signature
    assert (age.minimum, age.maximum, rank.nullable, port.categories) == (0, 120, True, ("C", "Q", "S", "X"))


@pytest.mark.usefixtures("in_this_process")
def test_a_dump_says_at_its_end_what_the_service_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = make_pipeline(columns(), LOGISTIC()).fit(FRAME, SURVIVED)

    dump(pipeline, FRAME, SURVIVED, tmp_path / "artifact")
    strict = capsys.readouterr().err
    dump(pipeline, FRAME, SURVIVED, tmp_path / "artifact", nullable=["rank"], accept_unseen=True)

    assert 'in port; such as port: expected one of "C", "Q", "S" or null; got "unseen"' in strict
    assert 'To accept it: accept_unseen=["port"]' in strict
    assert 'To accept it: nullable=["rank"]' in strict
    assert "422" not in capsys.readouterr().err


def test_unseen_values_that_the_pipeline_refuses_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    X = FRAME[["port"]].dropna()
    pipeline = make_pipeline(OneHotEncoder(), LOGISTIC()).fit(X, SURVIVED[X.index])

    with pytest.raises(DumpError, match=r"port 'unseen 0'.*leave these columns out of accept_unseen"):
        dump(pipeline, X, SURVIVED[X.index], tmp_path / "artifact", accept_unseen=["port"])
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("in_this_process")
def test_the_columns_of_an_array_may_be_named(tmp_path: Path) -> None:
    X = NUMBERS.to_numpy()
    pipeline = LOGISTIC().fit(X, SURVIVED)

    artifact = dump(pipeline, X, SURVIVED, tmp_path / "artifact", columns=["age", "rank"])

    assert artifact.model.signature.names == ("age", "rank")
    assert artifact.manifest.name == "LogisticRegression"
    assert apart(artifact, X, pipeline.predict_proba(X)) <= 1e-9


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


OWN_MODULE = """
from sklearn.base import BaseEstimator, TransformerMixin

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X * 2
"""


def test_a_module_of_the_user_is_imported_in_the_new_process_and_named_if_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features_of_mine.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    step = importlib.import_module("features_of_mine").Doubled()

    pipeline = make_pipeline(step, LOGISTIC()).fit(NUMBERS, SURVIVED)
    artifact = dump(pipeline, NUMBERS, SURVIVED, tmp_path / "artifact")
    assert artifact.manifest.modules == ("features_of_mine",)

    (tmp_path / "features_of_mine.py").unlink()
    monkeypatch.delitem(sys.modules, "features_of_mine")
    with pytest.raises(
        ArtifactError, match=r"No module named 'features_of_mine'.*put features_of_mine.py beside app.py"
    ):
        load(tmp_path / "artifact")


def test_a_library_that_only_a_module_of_the_user_imports_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features_of_mine.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    step = importlib.import_module("features_of_mine").Doubled()
    dump(make_pipeline(step, LOGISTIC()).fit(NUMBERS, SURVIVED), NUMBERS, SURVIVED, tmp_path / "artifact")

    (tmp_path / "features_of_mine.py").write_text("import lost_library.parts\n" + OWN_MODULE)
    monkeypatch.delitem(sys.modules, "features_of_mine")
    with pytest.raises(ArtifactError, match="add the library that provides lost_library to"):
        load(tmp_path / "artifact")


def test_a_module_that_only_this_process_has_is_refused_and_the_folder_is_unchanged(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in artifact.iterdir()}
    Only = type(
        "Only", (TransformerMixin, BaseEstimator), {"transform": lambda self, X: X, "fit": lambda self, X, y: self}
    )
    Only.__module__ = "made_up"
    monkeypatch.setitem(sys.modules, "made_up", type(sys)("made_up"))
    monkeypatch.setattr(sys.modules["made_up"], "Only", Only, raising=False)

    with pytest.raises(DumpError, match=r"A new process cannot read the model back: .*'made_up'"):
        dump(make_pipeline(Only(), FITTED), NUMBERS, SURVIVED, artifact)

    assert {path.name: path.read_bytes() for path in artifact.iterdir()} == before
    assert [path.name for path in artifact.parent.iterdir()] == ["artifact"]


def test_a_dump_replaces_an_earlier_artifact(artifact: Path) -> None:
    former = load(artifact)

    latter = dump(FITTED, NUMBERS, SURVIVED, artifact, name="other")

    assert load(artifact).manifest == latter.manifest
    assert (load(artifact).version, latter.manifest.name) == (latter.version, "other")
    assert latter.version != former.version
    assert [path.name for path in artifact.parent.iterdir()] == ["artifact"]


def test_the_manifest_says_how_the_model_answers(tmp_path: Path) -> None:
    neighbours = make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(NUMBERS, SURVIVED)

    artifact = dump(neighbours, NUMBERS, SURVIVED, tmp_path / "artifact")

    assert artifact.compiled is not None
    assert artifact.manifest.not_compiled is None
    scoring = artifact.manifest.scoring
    assert scoring["native"] == ["KNeighborsClassifier"]
    assert 0 < scoring["row_us"]["compiled"] < scoring["row_us"]["pipeline"]
    assert scoring["arrays"] in scoring["rows_per_second"]


def test_the_manifest_has_the_reason_why_a_model_is_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serialize.compiler.compile.difference", lambda *_: "It differs for a row.")
    linear = LogisticRegression().fit([[0.0], [1.0]] * 10, [False, True] * 10)

    artifact = dump(linear, [[0.0], [1.0]] * 10, [False, True] * 10, tmp_path / "artifact")

    assert artifact.compiled is None
    assert artifact.manifest.not_compiled == "It differs for a row."
    assert list(artifact.manifest.scoring["row_us"]) == ["pipeline"]


FOREST = RandomForestClassifier(20, random_state=0).fit(NUMBERS, SURVIVED)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("pipeline", "options", "method", "accuracy"),
    [
        (FOREST, {}, "5-fold cross-validation", (0.5, 0.95)),
        (FOREST, {"cv": 3}, "3-fold cross-validation", (0.5, 0.95)),
        (FOREST, {"cv": TimeSeriesSplit(4)}, "4-fold cross-validation", (0.4, 0.95)),
        (FOREST, {"groups": np.arange(ROWS) // 4}, "5-fold cross-validation", (0.4, 0.95)),
        (
            FOREST,
            {"cv_seconds": 0},
            "1-fold cross-validation (of 5; the time limit of 0 s was reached)",
            (0.4, 1),
        ),
        (FOREST, {"metrics": "cross-validation"}, "5-fold cross-validation", (0.5, 0.95)),
        (FOREST, {"metrics": "in-sample"}, "in-sample", (0.97, 1)),
        (FOREST, {"metrics": {"accuracy": 0.25}}, "given", (0.25, 0.25)),
        (
            CalibratedClassifierCV(FrozenEstimator(FOREST)).fit(NUMBERS, SURVIVED),
            {},
            "in-sample (a part of the pipeline is frozen and is not fitted again)",
            (0.95, 1),
        ),
    ],
)
def test_the_manifest_says_how_its_figures_were_made(
    pipeline: Any, options: dict[str, Any], method: str, accuracy: tuple[float, float], tmp_path: Path
) -> None:
    metrics = dump(pipeline, NUMBERS, SURVIVED, tmp_path / "artifact", **options).manifest.metrics

    assert metrics["method"] == method
    assert accuracy[0] <= metrics["metrics"]["accuracy"]["mean"] <= accuracy[1]


@pytest.mark.usefixtures("in_this_process")
def test_the_folds_are_scored_at_the_threshold_of_the_manifest(tmp_path: Path) -> None:
    pipeline = LOGISTIC().fit(NUMBERS, SURVIVED)
    options: dict[str, Any] = {"threshold": 0.9, "positive_class": 0}

    artifact = dump(pipeline, NUMBERS, SURVIVED, tmp_path / "artifact", **options)

    assert artifact.manifest.metrics == cross_validate(LOGISTIC(), NUMBERS, SURVIVED, **options)
    assert artifact.manifest.metrics != cross_validate(LOGISTIC(), NUMBERS, SURVIVED)
    assert dump(pipeline, NUMBERS, SURVIVED, tmp_path / "other", **options, metrics=artifact.manifest.metrics)


@pytest.mark.usefixtures("in_this_process")
def test_figures_and_importances_may_be_left_out(tmp_path: Path) -> None:
    manifest = dump(FITTED, NUMBERS, SURVIVED, tmp_path / "artifact", metrics="none", importances=False).manifest

    assert manifest.metrics == {"method": "none", "metrics": {}}
    assert manifest.importances == {"metric": "roc_auc", "columns": {}}


@pytest.mark.usefixtures("in_this_process")
def test_without_targets_nothing_is_measured_and_given_figures_are_kept(tmp_path: Path) -> None:
    manifest = dump(FITTED, NUMBERS, None, tmp_path / "artifact").manifest
    given = dump(FITTED, NUMBERS, None, tmp_path / "given", metrics={"accuracy": 0.7}).manifest.metrics

    assert manifest.metrics == {"method": "none", "metrics": {}}
    assert (manifest.importances["columns"], manifest.class_counts) == ({}, {})
    assert given == {"method": "given", "metrics": {"accuracy": {"mean": 0.7}}}


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


@pytest.mark.usefixtures("in_this_process")
def test_without_a_reference_there_is_no_profile_of_the_rows(tmp_path: Path) -> None:
    manifest = dump(FITTED, NUMBERS, SURVIVED, tmp_path / "artifact", metrics="none", reference=False).manifest

    empty = {"count": 0, "null_rate": 0.0}
    assert manifest.profile == {"columns": {"age": empty, "rank": empty}, "outputs": {}}


@pytest.mark.usefixtures("in_this_process")
def test_the_training_rows_of_each_class_are_counted(tmp_path: Path) -> None:
    survived = dump(FITTED, NUMBERS, SURVIVED, tmp_path / "classes", metrics="none").manifest.class_counts
    fares = dump(Ridge().fit(NUMBERS, FARES), NUMBERS, FARES, tmp_path / "values", metrics="none").manifest.class_counts

    assert survived == {"False": int((SURVIVED == 0).sum()), "True": int(SURVIVED.sum())}
    assert fares == {}


@pytest.mark.usefixtures("in_this_process")
def test_a_pipeline_that_cannot_be_fitted_again_is_scored_in_sample(tmp_path: Path) -> None:
    pipeline = LOGISTIC().fit(NUMBERS, SURVIVED)
    pipeline.C = -1

    metrics = dump(pipeline, NUMBERS, SURVIVED, tmp_path / "artifact").manifest.metrics

    assert metrics["method"].startswith("in-sample (InvalidParameterError: The 'C' parameter")
    assert metrics["metrics"]["accuracy"]["mean"] == pytest.approx(pipeline.score(NUMBERS, SURVIVED))
