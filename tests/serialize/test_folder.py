"""An artifact replaces an earlier one as a whole, and never replaces other files."""

import shutil
from pathlib import Path

import pytest

from serialize import DumpError
from serialize.folder import put_in_place, refuse_foreign_files, training_file

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


def test_a_new_folder_an_empty_one_and_an_artifact_may_be_written(tmp_path: Path) -> None:
    refuse_foreign_files(tmp_path / "new")
    refuse_foreign_files(tmp_path)
    refuse_foreign_files(ARTIFACTS)


def test_an_artifact_without_a_compiled_form_may_be_replaced(tmp_path: Path) -> None:
    for name in ("manifest.json", "pipeline.joblib"):
        shutil.copy(ARTIFACTS / name, tmp_path)

    refuse_foreign_files(tmp_path)


@pytest.mark.parametrize("foreign", ["notes.txt", ".git", "manifest.json", "pipeline.joblib"])
def test_a_folder_of_other_files_is_refused(foreign: str, tmp_path: Path) -> None:
    (tmp_path / foreign).write_text("mine")

    with pytest.raises(DumpError, match=rf"holds other files \({foreign}\); name an empty folder"):
        refuse_foreign_files(tmp_path)


def test_a_file_beside_an_artifact_is_not_lost(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact"))
    (folder / "notes.txt").write_text("mine")

    with pytest.raises(DumpError, match=r"holds other files \(notes.txt\)"):
        refuse_foreign_files(folder)


def test_a_damaged_artifact_may_be_replaced(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact"))
    (folder / "manifest.json").write_text("{")

    refuse_foreign_files(folder)


def test_a_file_is_refused_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(DumpError, match="is a file; name a folder"):
        refuse_foreign_files(tmp_path / "file")


def test_the_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    for name in ("new", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)

    put_in_place(tmp_path / "new", tmp_path / "target", tmp_path / "old")

    assert (tmp_path / "target" / "name").read_text() == "new"


def test_the_old_folder_is_restored_if_the_new_one_cannot_replace_it(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "name").write_text("old")

    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "not there", tmp_path / "target", tmp_path / "old")

    assert (tmp_path / "target" / "name").read_text() == "old"


def test_the_training_data_of_an_older_artifact_are_found_under_their_older_name() -> None:
    assert training_file({"pipeline.joblib": b"p", "training.parquet": b"older"}) == b"older"
    assert training_file({"training.json.gz": b"new"}) == b"new"
    assert training_file({"pipeline.joblib": b"p"}) is None
