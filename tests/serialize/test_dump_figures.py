"""The manifest of a dump says how the model answers, and has figures of its quality."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serialize import cross_validate, dump
from tests.support.ship import (
    FARES,
    NUMBERS,
    ROWS,
    SURVIVED,
)

LOGISTIC = functools.partial(LogisticRegression, max_iter=1000)


FITTED = LOGISTIC().fit(NUMBERS, SURVIVED)


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
