"""What is installed is exactly what was resolved: each requirement has its version and its hashes. What names a version
twice agrees with itself."""

import re
import tomllib

import pytest
import yaml

from tests.support.passengers import PROJECT

LOCKS = ["requirements.txt", "requirements-dev.txt"]


def pins(name: str) -> dict[str, str]:
    """The requirements of a lock file by name and marker, each with its version and hashes."""
    text = re.sub(r"^ *#.*\n", "", (PROJECT / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    lines = [line for line in text.splitlines() if line]
    return {re.sub(r"==[^ ]+| *--hash.*", "", line).strip(): line for line in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    listed = pins(name)

    assert len(listed) > 30
    for line in listed.values():
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ]+ (; [^#]+?)?( +--hash=sha256:[0-9a-f]{64} *)+", line), line


def test_the_tests_run_with_what_is_deployed() -> None:
    deployed, tested = pins("requirements.txt"), pins("requirements-dev.txt")

    assert {name: tested.get(name) for name in deployed} == deployed


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[]", requirement)[0] for requirement in project["dependencies"]}

    assert declared <= {name.partition(" ")[0] for name in pins("requirements.txt")}


@pytest.mark.parametrize("library", ["scikit-learn", "numpy", "pandas"])
def test_a_notebook_may_have_any_version_of_what_models_are_made_with(library: str) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

    assert not [each for each in project["dependencies"] if re.match(rf"{library}[<=~!]", each)]


@pytest.mark.parametrize("name", LOCKS)
def test_no_index_is_named(name: str) -> None:
    assert not re.search(r"^ *--(?!hash)|://", (PROJECT / name).read_text(), flags=re.MULTILINE)


def test_pre_commit_checks_with_the_versions_of_make_check() -> None:
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    locked = pins("requirements-dev.txt")

    for hook, library in zip(hooks, ["ruff", "codespell"], strict=True):
        assert library in hook["repo"]
        assert locked[library].startswith(f"{library}=={hook['rev'].removeprefix('v')} ")
