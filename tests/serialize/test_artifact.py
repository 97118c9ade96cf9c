"""Only trusted and undamaged artifacts are loaded."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize import ArtifactError, load
from tests.support.manifests import Malice, rewrite
from tests.support.missing import WITHOUT_PYARROW
from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.ship import FRAME, SURVIVED, apart, columns


def test_the_version_is_the_digest_of_the_manifest(dumped: Path) -> None:
    digest = hashlib.sha256((dumped / "manifest.json").read_bytes()).hexdigest()

    assert (load(dumped).digest, load(dumped).version) == (digest, digest[:12])


def test_a_loaded_artifact_gives_the_outputs_of_the_dumped_one(dumped: Path) -> None:
    artifact = load(dumped)

    artifact.verify_all()
    pipeline = make_pipeline(columns(), LogisticRegression()).fit(FRAME, SURVIVED)
    assert apart(artifact, FRAME, pipeline.predict_proba(FRAME)) <= 1e-9


def with_files(folder: Path, files: Any) -> None:
    rewrite(folder, lambda manifest: manifest.update(files=files))


def vouch(folder: Path) -> None:
    names = ("pipeline.joblib", "pipeline.npz")
    with_files(folder, {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names})


def test_a_pickle_with_another_digest_is_never_run(artifact: Path, tmp_path: Path) -> None:
    (artifact / "pipeline.joblib").write_bytes(pickle.dumps(Malice(tmp_path / "harm")))

    with pytest.raises(ArtifactError, match="is not the file that its manifest lists; restore it"):
        load(artifact)
    assert not (tmp_path / "harm").exists()

    vouch(artifact)
    load(artifact)
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["pipeline.joblib", "pipeline.npz", "manifest.json"])
def test_a_flipped_bit_is_refused(artifact: Path, name: str) -> None:
    content = bytearray((artifact / name).read_bytes())
    content[len(content) // 2] ^= 1
    (artifact / name).write_bytes(content)

    with pytest.raises(ArtifactError, match=r"is not the file that its manifest lists|manifest.json is damaged"):
        load(artifact)


@pytest.mark.parametrize("content", [b"no pickle", b"csys\nexit\n(tR."])
def test_a_pickle_that_cannot_be_read_is_refused(artifact: Path, content: bytes) -> None:
    (artifact / "pipeline.joblib").write_bytes(content)
    vouch(artifact)

    with pytest.raises(ArtifactError, match=r"cannot be unpickled .*; dump the model again\.$"):
        load(artifact)


@pytest.mark.parametrize(
    ("missing", "advice"),
    [("features", "put features.py beside app.py"), ("elsewhere.steps", "add the library that provides elsewhere to")],
)
def test_a_pipeline_whose_module_is_missing_here_is_refused_with_what_to_do(
    artifact: Path, missing: str, advice: str
) -> None:
    (artifact / "pipeline.joblib").write_bytes(f"c{missing}\nStep\n.".encode())
    vouch(artifact)
    rewrite(artifact, lambda manifest: manifest.update(modules=["features"]))

    with pytest.raises(ArtifactError, match=f"needs a module that cannot be imported here .*; {advice}"):
        load(artifact)


def with_libraries(folder: Path, **libraries: str) -> None:
    rewrite(folder, lambda manifest: manifest["libraries"].update(libraries))


def test_a_library_that_is_not_installed_is_refused_before_the_pipeline_is_unpickled(
    artifact: Path, tmp_path: Path
) -> None:
    (artifact / "pipeline.joblib").write_bytes(pickle.dumps(Malice(tmp_path / "harm")))
    vouch(artifact)
    with_libraries(artifact, lightgbm_lost="4.6.0")

    with pytest.raises(ArtifactError, match=r"needs lightgbm_lost 4\.6\.0, .*add lightgbm_lost==4\.6\.0 to"):
        load(artifact)
    assert not (tmp_path / "harm").exists()


def test_under_another_major_version_a_model_is_loaded_if_its_golden_rows_agree(artifact: Path) -> None:
    with_libraries(artifact, numpy="0.9.1")

    assert [name for name, *_ in load(artifact).other_versions] == ["numpy"]


def test_under_another_major_version_golden_rows_that_differ_are_refused_with_the_requirement_line(
    artifact: Path,
) -> None:
    def alter(manifest: dict[str, Any]) -> None:
        manifest["golden"]["rows"][0]["output"][0] += 1e-6

    rewrite(artifact, alter)
    load(artifact)
    with_libraries(artifact, numpy="0.9.1")

    with pytest.raises(
        ArtifactError, match=r"give other outputs .*dumped with numpy 0\.9\.1, and .* add numpy==0\.9\.1"
    ):
        load(artifact)


def test_under_another_version_a_pipeline_that_cannot_be_unpickled_is_refused_with_the_requirement_line(
    artifact: Path,
) -> None:
    (artifact / "pipeline.joblib").write_bytes(b"no pickle")
    vouch(artifact)
    with_libraries(artifact, numpy="0.9.1")

    with pytest.raises(ArtifactError, match=r"cannot be unpickled .*add numpy==0\.9\.1 to requirements-model.in"):
        load(artifact)


def test_golden_rows_that_cannot_be_scored_are_refused_in_one_sentence(dumped: Path) -> None:
    def lacking(rows: Any) -> Any:
        raise AttributeError("'LogisticRegression' object has no attribute 'multi_class'")

    with pytest.raises(ArtifactError, match=r"^The model cannot score its golden rows \(AttributeError: .*again\.$"):
        load(dumped).verify(lacking)


def test_a_different_golden_output_is_refused(artifact: Path) -> None:
    def alter(manifest: dict[str, Any]) -> None:
        manifest["golden"]["rows"][0]["output"][0] += 1e-6

    rewrite(artifact, alter)

    with pytest.raises(ArtifactError, match=r"1 of .* golden rows give other outputs"):
        load(artifact).verify_all()


def test_a_compiled_form_of_another_model_is_refused(artifact: Path, artifacts: dict[str, Path]) -> None:
    shutil.copy(artifacts["iris"] / "pipeline.npz", artifact / "pipeline.npz")
    vouch(artifact)

    with pytest.raises(ArtifactError, match="The compiled model does not belong to this pipeline"):
        load(artifact)


def remove(path: Path) -> Path:
    path.unlink()
    return path


def link(folder: Path, name: str) -> None:
    """Moves a file out of an artifact and leaves a symbolic link to it."""
    outside = shutil.move(folder / name, folder.parent / name)
    (folder / name).symlink_to(outside)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "evil.py").write_text(""), "'evil.py', which its manifest does not list; remove it"),
        (lambda folder: (folder / "sub").mkdir(), "'sub', which its manifest does not list"),
        (lambda folder: (folder / "pipeline.joblib").unlink(), "pipeline.joblib is missing; restore the artifact"),
        (lambda folder: (folder / "manifest.json").unlink(), "holds no manifest.json; dump a model there"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is damaged"),
        (lambda folder: link(folder, "pipeline.npz"), "pipeline.npz is a symbolic link, which may point anywhere"),
        (lambda folder: link(folder, "manifest.json"), "manifest.json is a symbolic link"),
        (lambda folder: os.mkfifo(remove(folder / "pipeline.npz")), "pipeline.npz is missing"),
        (shutil.rmtree, "holds no manifest.json"),
        (lambda folder: with_files(folder, {}), "lists no pipeline.joblib"),
        (lambda folder: with_files(folder, {"../x": "0"}), "'../x', which is not a file of its own folder"),
        (lambda folder: with_files(folder, {"/etc/passwd": "0"}), "'/etc/passwd', which is not a file of its own"),
        (lambda folder: with_files(folder, {"..": "0"}), "'..', which is not a file of its own folder"),
        (lambda folder: with_files(folder, {"": "0"}), "'', which is not a file of its own folder"),
        (
            lambda folder: with_files(folder, {"manifest.json.hmac": "0"}),
            "'manifest.json.hmac', which is not a file of",
        ),
        (lambda folder: with_files(folder, {"pipeline.joblib": 5, "pipeline.npz": []}), "is not the file that its"),
        (lambda folder: with_files(folder, None), "manifest.json is damaged"),
    ],
)
def test_a_changed_folder_is_refused(artifact: Path, change: Callable[[Path], Any], says: str) -> None:
    change(artifact)

    with pytest.raises(ArtifactError, match=says) as refused:
        load(artifact)
    assert "\n" not in str(refused.value)


def test_an_artifact_is_described_in_a_few_lines(artifact: Path) -> None:
    lines = repr(load(artifact)).splitlines()

    assert lines == [
        f"model:     ship, version {load(artifact).version}",
        "task:      binary (False, True)",
        "columns:   3: age (number), rank (integer), port (category)",
        "threshold: 0.5, positive class True",
        lines[4],
        lines[5],
        f"path:      {artifact}",
    ]
    assert lines[4].startswith("metrics:   5-fold cross-validation: accuracy 0.")
    assert lines[5].startswith("compiled:  yes, ")
    assert "<tr><th>model</th><td>ship, version" in load(artifact)._repr_html_()


@pytest.mark.long  # starts processes
@pytest.mark.parametrize(("before", "storage"), [("", "pyarrow"), (WITHOUT_PYARROW, "python")])
def test_the_golden_rows_match_with_and_without_pyarrow(before: str, storage: str) -> None:
    """pandas keeps strings in another way where pyarrow is installed."""
    code = f"{before}\nfrom serialize import load; load({str(ARTIFACTS)!r}).verify_all()"
    code += "\nimport pandas; print(pandas.Series(['a']).dtype.storage)"

    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)

    assert ran.stdout.split() == [storage]
