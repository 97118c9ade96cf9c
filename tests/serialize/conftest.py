"""What the tests of serialization share."""

import shutil
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize import dump, load
from tests.support.ship import FRAME, SURVIVED, columns


@pytest.fixture(autouse=True)
def _few_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives dump little time to score rows alone and in small batches, beyond the sample that it always takes."""
    monkeypatch.setattr("serialize.checks.rows._SECONDS", 0.05)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifies dumps in this process, for tests that are not about the new process: this saves two seconds."""
    monkeypatch.setattr("serialize.writing.steps._verify_in_new_process", lambda folder: load(folder).verify_all())


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an artifact. Tests must not change it."""
    folder = tmp_path_factory.mktemp("dumped") / "artifact"
    dump(make_pipeline(columns(), LogisticRegression()).fit(FRAME, SURVIVED), FRAME, SURVIVED, folder, name="ship")
    return folder


@pytest.fixture
def artifact(dumped: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which tests may change."""
    return Path(shutil.copytree(dumped, tmp_path / "artifact"))
