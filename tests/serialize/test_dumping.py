"""A dumped model gives the outputs of the notebook; what cannot be served is refused."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from serialize import DumpError, dump, load
from serialize.transformers import null_blind_one_hot
from tests.support.own_steps import Claims, FareShare, nulls_named
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


@pytest.mark.usefixtures("in_this_process")
def test_the_columns_of_an_array_may_be_named(tmp_path: Path) -> None:
    X = NUMBERS.to_numpy()
    pipeline = LOGISTIC().fit(X, SURVIVED)

    artifact = dump(pipeline, X, SURVIVED, tmp_path / "artifact", columns=["age", "rank"])

    assert artifact.model.signature.names == ("age", "rank")
    assert artifact.manifest.name == "LogisticRegression"
    assert apart(artifact, X, pipeline.predict_proba(X)) <= 1e-9


FITTED = LOGISTIC().fit(NUMBERS, SURVIVED)


def test_a_dump_replaces_an_earlier_artifact(artifact: Path) -> None:
    former = load(artifact)

    latter = dump(FITTED, NUMBERS, SURVIVED, artifact, name="other")

    assert load(artifact).manifest == latter.manifest
    assert (load(artifact).version, latter.manifest.name) == (latter.version, "other")
    assert latter.version != former.version
    assert [path.name for path in artifact.parent.iterdir()] == ["artifact"]
