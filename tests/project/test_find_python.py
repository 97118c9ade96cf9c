"""The Makefile takes the Python of the deployment if it is there and the newest supported one otherwise. A command that
exists but does not work is passed over."""

import subprocess
from pathlib import Path

import pytest

from tests.support.passengers import PROJECT


def python(folder: Path, name: str, version: str, *, environment: bool = False, broken: bool = False) -> None:
    """Writes a command that answers the questions of the script as a Python of that version would."""
    major, minor = version.split(".")
    condition = f"sys.version_info[:2] != ({major}, {minor})"
    lines = [
        "#!/bin/sh",
        'case "$2" in',
        f'*"{condition}"*) exit {int(environment)} ;;',
        '*"import ensurepip"*) exit 0 ;;',
        "*) exit 1 ;;",
        "esac",
    ]
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{name}: command not found' >&2\nexit 127\n" if broken else "\n".join(lines))
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The only folder on the PATH, with what the script itself calls."""
    for command in ("cat", "dirname", "grep"):
        found = subprocess.run(["which", command], capture_output=True, text=True, check=True).stdout.strip()
        (tmp_path / command).symlink_to(found)
    return tmp_path


def found(folder: Path) -> "subprocess.CompletedProcess[str]":
    script = str(PROJECT / "tools" / "find-python.sh")
    return subprocess.run(["/bin/sh", script], env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def test_the_python_of_the_deployment_comes_first(folder: Path) -> None:
    python(folder, "python3.11", "3.11")
    python(folder, "python3.14", "3.14")

    assert found(folder).stdout == f"{folder}/python3.11\n"


def test_otherwise_the_newest_one_is_taken(folder: Path) -> None:
    for version in ("3.10", "3.12", "3.13", "3.15"):
        python(folder, f"python{version}", version)

    assert found(folder).stdout == f"{folder}/python3.13\n"


def test_a_shim_that_does_not_work_does_not_count(folder: Path) -> None:
    python(folder, "python3.11", "3.11", broken=True)
    python(folder, "python3", "3.12")

    assert found(folder).stdout == f"{folder}/python3\n"


def test_the_python_of_a_virtual_environment_does_not_count(folder: Path) -> None:
    python(folder, "python3.11", "3.11", environment=True)
    python(folder, "python3.12", "3.12")

    assert found(folder).stdout == f"{folder}/python3.12\n"


def test_one_sentence_says_that_there_is_none(folder: Path) -> None:
    python(folder, "python3", "3.10")

    ran = found(folder)

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == (
        "No Python from 3.11 to 3.14 was found; install Python 3.11, or name one: make PYTHON=/path/to/python3.\n"
    )
