"""A pipeline that was fitted again becomes an artifact that inherits what was declared and holds no row of the log."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline

from serialize import Artifact, ArtifactError, DumpError, dump, load
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.training.data import TrainingData
from serialize.training.refit import join, only, refit
from serialize.writing.refitted import dump_refitted
from tests.support.ship import CLASSES, FARES, FRAME, NUMBERS, SURVIVED, columns

MARKER, NUMBER = "only in the log", 71.234567891
DECLARED: dict[str, Any] = {
    "name": "ship",
    "threshold": 0.3,
    "positive_class": False,
    "bounds": {"age": (-100, 200)},
    "nullable": ["rank"],
    "accept_unseen": ["port"],
}
ROWS = [{"age": NUMBER, "rank": rank, "port": MARKER} for rank in (1, 2, 3)] * 10
TRUTHS = [True, False, True] * 10
TRAINING = {"candidate": "all rows", "rows": 70, "log_rows": 30}


def _parent(folder: Path, pipeline: Any, X: Any = FRAME, y: Any = SURVIVED, **options: Any) -> Artifact:
    return dump(
        pipeline.fit(X, y),
        X,
        y,
        folder / "parent",
        include_training_data=True,
        **{"metrics": "none", "importances": False, **options},
    )


def _again(parent: Artifact, data: TrainingData, folder: Path, **options: Any) -> Artifact:
    pipeline = refit(parent, data.X, data.y)
    return dump_refitted(
        parent, pipeline, data, folder / "again", **{"training": TRAINING, "on_stage": print, **options}
    )


@pytest.mark.usefixtures("in_this_process")
def test_everything_declared_is_inherited(tmp_path: Path) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), LogisticRegression()), importances=True, **DECLARED)
    data = join(parent.training_data(), ROWS, TRUTHS, parent)

    again = _again(parent, data, tmp_path)

    before, after = parent.manifest, again.manifest
    assert (after.name, after.task, after.signature) == (before.name, before.task, before.signature)
    assert again.digest != parent.digest
    assert not np.allclose(again.model.outputs(ROWS), parent.model.outputs(ROWS))
    assert again.compiled is not None
    assert set(after.importances["columns"]) == {"age", "rank", "port"}
    assert sum(after.class_counts.values()) == len(FRAME) + len(ROWS)
    assert after.metrics["method"] == "none"
    assert after.training == {
        **TRAINING,
        "base": before.files["training.json.gz"],
        "parent": parent.version,
    }


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("form", [join, only])
def test_no_row_of_the_log_is_in_the_manifest_or_the_training_data(tmp_path: Path, form: Any) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), RandomForestClassifier(5, random_state=0)), **DECLARED)
    arguments = (parent.training_data(), ROWS, TRUTHS, parent) if form is join else (ROWS, TRUTHS, parent)
    data = form(*arguments)
    assert MARKER in set(data.X["port"])

    again = _again(parent, data, tmp_path)

    folder = tmp_path / "again"
    content = (folder / "manifest.json").read_bytes()
    assert MARKER.encode() not in content
    assert str(NUMBER).encode() not in content
    assert (folder / "training.json.gz").read_bytes() == (tmp_path / "parent" / "training.json.gz").read_bytes()
    pd.testing.assert_frame_equal(again.training_data().X, FRAME)
    golden = {json.dumps(row) for row in again.manifest.golden.observations}
    assert golden == {json.dumps(row) for row in parent.manifest.golden.observations}
    assert again.manifest.profile["columns"] == parent.manifest.profile["columns"]


@pytest.mark.usefixtures("in_this_process")
def test_a_retrained_model_can_be_retrained(tmp_path: Path) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), LogisticRegression()), **DECLARED)
    child = _again(parent, join(parent.training_data(), ROWS, TRUTHS, parent), tmp_path)

    grandchild = _again(child, only(ROWS, TRUTHS, child), tmp_path / "more")

    assert grandchild.manifest.training is not None
    assert grandchild.manifest.training["parent"] == child.version
    assert grandchild.manifest.files["training.json.gz"] == parent.manifest.files["training.json.gz"]


@pytest.mark.usefixtures("in_this_process")
def test_training_data_that_an_older_artifact_keeps_as_parquet_are_written_in_the_present_form(tmp_path: Path) -> None:
    parent = load(Path(__file__).parent.parent / "artifacts" / "with_parquet")
    base = parent.training_data()

    again = _again(parent, base, tmp_path)

    assert sorted(again.manifest.files) == ["pipeline.joblib", "pipeline.npz", "training.json.gz"]
    assert (again.manifest.training or {})["base"] == again.manifest.files["training.json.gz"]
    pd.testing.assert_frame_equal(again.training_data().X, base.X)
    assert again.training_data().y == base.y


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("declared", "is_tuned_again"), [({}, True), ({"threshold": 0.3}, False)])
def test_a_threshold_is_tuned_again_unless_it_was_declared(
    tmp_path: Path, declared: dict[str, Any], is_tuned_again: bool
) -> None:
    tuned = TunedThresholdClassifierCV(LogisticRegression(), cv=3, random_state=0)
    parent = _parent(tmp_path, tuned, NUMBERS, **declared)
    data = TrainingData(NUMBERS, np.where(NUMBERS["rank"] == 3, 1, SURVIVED))

    pipeline = refit(parent, data.X, data.y)
    again = dump_refitted(parent, pipeline, data, tmp_path / "again", training=TRAINING, on_stage=print)

    assert pipeline.best_threshold_ != pytest.approx(parent.pipeline.best_threshold_)
    expected = pipeline.best_threshold_ if is_tuned_again else 0.3
    assert again.manifest.task.threshold == pytest.approx(expected)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("y", "truth"), [(FARES, 3.5), (CLASSES, "second")])
def test_other_tasks_are_written_too(tmp_path: Path, y: Any, truth: Any) -> None:
    pipeline = LinearRegression() if y is FARES else LogisticRegression(max_iter=1000)
    parent = _parent(tmp_path, pipeline, NUMBERS.to_numpy(), y, columns=["age", "rank"], reference=False)
    data = join(parent.training_data(), [{"age": 30.5, "rank": 2.0}], [truth], parent)

    again = _again(parent, data, tmp_path, metrics={"r2": 0.5})

    assert again.manifest.task == parent.manifest.task
    assert again.manifest.signature == parent.manifest.signature
    assert again.manifest.profile == parent.manifest.profile
    assert again.manifest.metrics["metrics"]["r2"]["mean"] == 0.5


@pytest.mark.usefixtures("in_this_process")
def test_the_stages_are_told_to_the_caller_and_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = _parent(tmp_path, LogisticRegression(max_iter=1000), NUMBERS, SURVIVED)
    monkeypatch.setattr("serialize.display.progress._QUIET_SECONDS", -1.0)
    capsys.readouterr()
    stages: list[str] = []

    _again(parent, TrainingData(NUMBERS, SURVIVED), tmp_path, on_stage=stages.append)

    assert stages == ["Scoring the base rows", "Compiling", "Writing the artifact, and verifying it in a new process"]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("in_this_process")
def test_a_fit_without_one_of_the_classes_is_refused(tmp_path: Path) -> None:
    parent = _parent(tmp_path, LogisticRegression(max_iter=1000), NUMBERS, CLASSES)
    known = CLASSES != "third"
    pipeline = LogisticRegression(max_iter=1000).fit(NUMBERS[known], CLASSES[known])

    with pytest.raises(DumpError, match="no row of the class 'third'"):
        dump_refitted(parent, pipeline, parent.training_data(), tmp_path / "again", training={}, on_stage=print)

    assert not (tmp_path / "again").exists()


@pytest.mark.usefixtures("in_this_process")
def test_a_folder_with_other_files_is_refused_before_the_work_begins(tmp_path: Path) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), LogisticRegression()))
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "notes.txt").write_text("mine")
    stages: list[str] = []

    with pytest.raises(DumpError, match=r"holds other files \(notes\.txt\)"):
        _again(parent, parent.training_data(), tmp_path, on_stage=stages.append)

    assert (tmp_path / "again" / "notes.txt").read_text() == "mine"
    assert stages == []


@pytest.mark.usefixtures("in_this_process")
def test_without_training_data_the_base_rows_must_be_given(tmp_path: Path) -> None:
    fitted = LogisticRegression(max_iter=1000).fit(NUMBERS, SURVIVED)
    parent = dump(fitted, NUMBERS, SURVIVED, tmp_path / "parent", metrics="none", importances=False)
    data = TrainingData(NUMBERS, SURVIVED)
    pipeline = refit(parent, data.X, data.y)

    with pytest.raises(ArtifactError, match="include_training_data=True"):
        dump_refitted(parent, pipeline, data, tmp_path / "again", training={}, on_stage=print)

    again = dump_refitted(parent, pipeline, data, tmp_path / "again", training={}, on_stage=print, base=data)
    pd.testing.assert_frame_equal(again.training_data().X, NUMBERS)


@pytest.mark.long  # starts two processes
def test_the_result_is_proven_in_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), LogisticRegression()), **DECLARED)
    data = join(parent.training_data(), ROWS, TRUTHS, parent)

    again = _again(parent, data, tmp_path)
    again.verify_all()

    monkeypatch.setattr("serialize.writing.steps._FRESH_PROCESS", "raise SystemExit('it does not load')")
    with pytest.raises(DumpError, match="A new process cannot read the model back: it does not load"):
        _again(parent, data, tmp_path / "refused")
    assert not (tmp_path / "refused" / "again").exists()


@pytest.mark.usefixtures("in_this_process")
def test_a_compiled_form_that_differs_only_for_a_row_of_the_log_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), LogisticRegression()), **DECLARED)
    data = only(ROWS, TRUTHS, parent)
    outputs = CompiledModel.outputs

    def wrong_for_the_marker(self: CompiledModel, rows: Any) -> Any:
        return outputs(self, rows) + np.array([[0.1 * (row["port"] == MARKER)] for row in rows])

    monkeypatch.setattr(CompiledModel, "outputs", wrong_for_the_marker)

    again = _again(parent, data, tmp_path)

    assert again.compiled is None
    assert "The compiled form differs" in str(again.manifest.not_compiled)
    assert MARKER not in str(again.manifest.not_compiled)


@pytest.mark.usefixtures("in_this_process")
def test_a_compiled_form_that_was_hardly_faster_stays_unused(tmp_path: Path) -> None:
    parent = _parent(tmp_path, make_pipeline(columns(), LogisticRegression()), **DECLARED)
    measured = {**parent.manifest.scoring, "row_us": {"compiled": 9.5, "pipeline": 10.0}}
    parent = replace(parent, manifest=replace(parent.manifest, scoring=measured))

    again = _again(parent, only(ROWS, TRUTHS, parent), tmp_path)

    assert again.compiled is None
    assert again.manifest.not_compiled == "The compiled form is not clearly faster than the pipeline."
