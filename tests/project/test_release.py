"""A release is refused with its reasons, all at once, until version, changelog, tags and working tree agree."""

import subprocess
import tomllib
from pathlib import Path

import pytest

import service
from tests.support.passengers import PROJECT
from tools.release import VERSION_FILE, declared_version, problems


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed project at version 1.2.0, which its changelog describes, after the release of 1.1.9."""
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text('"""The service."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - 2026-01-31\n\n- More.\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "More")
    git(tmp_path, "tag", "v1.1.9")
    return tmp_path


def git(project: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=project, check=True)


def test_a_version_that_everything_agrees_on_can_be_released(project: Path) -> None:
    assert problems(project, "1.2.0") == []


def test_another_version_than_that_of_the_project_is_refused(project: Path) -> None:
    assert problems(project, "1.3.0") == [
        "service/__init__.py has version 1.2.0; set it to 1.3.0.",
        "CHANGELOG.md has no section '## 1.3.0'; rename '## Unreleased' to '## 1.3.0 - DATE'.",
    ]


def test_a_version_is_released_once(project: Path) -> None:
    git(project, "tag", "v1.2.0")

    assert problems(project, "1.2.0") == ["The tag v1.2.0 exists already; choose the next version."]


def test_versions_only_increase(project: Path) -> None:
    git(project, "tag", "v1.10.0")

    assert problems(project, "1.2.0") == ["The tag v1.10.0 is later than 1.2.0."]


def test_changes_are_committed_first(project: Path) -> None:
    (project / "forgotten.py").touch()

    assert problems(project, "1.2.0") == ["The working tree has changes that are not committed."]


def test_what_is_no_version_is_refused(project: Path) -> None:
    assert problems(project, "v1.2") == ["v1.2 is not a version; it has three numbers, such as 1.2.0."]


def test_the_project_states_its_version_only_in_the_source() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    assert "version" not in settings["project"]
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["hatch"]["version"]["path"] == VERSION_FILE
    assert declared_version(PROJECT) == service.__version__
