"""The built wheel has the two packages and nothing else, and works without the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import service
from tests.support.passengers import PROJECT

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PACKAGES = ("serialize", "service")

# Tests that need the packages and what is beside them here, and nothing else of the checkout.
NEEDED = ("pyproject.toml", "artifacts", "data", "tests")
TESTS = (
    "test_manifest.py",
    "test_observation.py",
    "test_payload.py",
    "test_predict.py",
)

DUMP = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from serialize import dump
X = pd.DataFrame({"age": np.arange(40.0), "calls": [3, 1] * 20})
y = np.arange(40) > 15
dump(LogisticRegression().fit(X, y), X, y, "artifacts", name="churn")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout that has what git tracks or would track."""
    copy, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(PROJECT / name, copy)
    for name in (*PACKAGES, "tests"):
        shutil.copytree(PROJECT / name, copy / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (wheel,) = built.iterdir()
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a fresh environment with the wheel and its dependencies in it."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([*uv("venv"), "--python", sys.executable, "--clear", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    install(python, str(wheel), "--constraints", str(PROJECT / "requirements.txt"))
    return python


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path


def uv(*command: str) -> list[str]:
    return [sys.executable, "-m", "uv", *command, "--quiet"]


def install(python: str, *what: str) -> None:
    subprocess.run([*uv("pip", "install"), "--python", python, *what], check=True)


def run(python: str, folder: Path, *arguments: str) -> str:
    """What a command prints that runs in the folder with nothing of the checkout on its path."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run([python, *arguments], cwd=folder, env=clean, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_wheel_has_the_files_of_the_two_packages_and_nothing_else(wheel: Path) -> None:
    files = [path for package in PACKAGES for path in (PROJECT / package).rglob("*") if path.is_file()]
    expected = {path.relative_to(PROJECT).as_posix() for path in files if "__pycache__" not in path.parts}

    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert packed == expected
    assert [name for name in packed if name.endswith(".html")]
    assert [name for name in packed if "/migrations/" in name]


def test_the_wheel_has_the_version_of_the_service(wheel: Path) -> None:
    assert wheel.name.split("-")[1] == service.__version__


def test_a_model_is_dumped_in_an_empty_folder(python: str, folder: Path) -> None:
    run(python, folder, "-c", DUMP)

    assert "churn" in run(python, folder, "-m", "serialize", "show", "artifacts")
    run(python, folder, "-m", "serialize", "verify", "artifacts")


def test_both_commands_run(python: str, folder: Path) -> None:
    assert "recipe" in run(python, folder, "-m", "serialize", "--help")
    assert "migrate" in run(python, folder, "-m", "service", "--help")

    run(python, folder, "-m", "serialize", "recipe", "iris", "-o", "artifacts")
    run(python, folder, "-m", "service", "migrate")
    run(python, folder, "-m", "service", "report")

    assert (folder / "predictions.db").is_file()
    assert (folder / "report.html").is_file()


def test_the_client_needs_urllib3_and_nothing_else(wheel: Path, folder: Path) -> None:
    python = str(folder / "environment" / "bin" / "python")
    subprocess.run([*uv("venv"), "--python", sys.executable, str(folder / "environment")], check=True)
    install(python, "--no-deps", str(wheel))
    install(python, "urllib3", "--constraints", str(PROJECT / "requirements.txt"))

    run(python, folder, "-c", "from service.client import Client; Client('https://localhost').close()")


def test_a_recipe_without_its_data_says_so(python: str, folder: Path) -> None:
    command = [python, "-m", "serialize", "recipe", "titanic", "-o", "artifacts"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert "data/titanic.csv" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_application_is_served_from_the_files_beside_the_wheel(python: str, folder: Path) -> None:
    shutil.copy(PROJECT / "app.py", folder)
    shutil.copy(PROJECT / "gunicorn.conf.py", folder)
    shutil.copytree(PROJECT / "artifacts", folder / "artifacts")
    run(python, folder, "-m", "service", "migrate")

    run(python, folder, "-m", "gunicorn", "--check-config", "app:app")


def test_the_tests_pass_against_the_wheel(python: str, folder: Path) -> None:
    for name in NEEDED:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    install(python, "-r", str(PROJECT / "requirements-dev.txt"))
    chosen = [str(path) for path in (folder / "tests").rglob("test_*.py") if path.name in TESTS]
    assert len(chosen) == len(TESTS)

    where = run(python, folder, "-c", "import serialize, service; print(serialize.__file__, service.__file__)")
    assert where.count("site-packages") == 2
    run(python, folder, "-m", "pytest", "-m", "not alone and not long", "-k", "not postgresql", *chosen)
