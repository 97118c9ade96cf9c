"""Virtual environments for the servers that are measured, below benchmarks/.venvs: one for the service as it is
deployed, and one for each peer, with the very libraries that the model was fitted with."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import click

from benchmarks.passengers import PROJECT

FOLDER = Path(__file__).parent / ".venvs"
DEPLOYED = "deployed"  # requirements.txt and nothing else; the other environments of the project have pyarrow too
PACKAGES = {
    "fastapi": ("fastapi", "uvicorn[standard]"),
    "mlserver": ("mlserver", "mlserver-sklearn", "uvloop<0.22"),  # its workers do not start with a later uvloop
    "mlflow": ("mlflow",),
    "bentoml": ("bentoml",),
    "litserve": ("litserve",),
    "vetiver": ("vetiver",),
}

_REQUIREMENTS = PROJECT / "requirements.txt"
_MODEL_LIBRARIES = ("scikit-learn", "joblib", "numpy", "pandas")


def python_of(name: str) -> str:
    """The interpreter of the environment DEPLOYED or of a peer, which is made where it is missing. Raises
    ClickException where it cannot be made."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    wanted = ["--requirement", str(_REQUIREMENTS)] if name == DEPLOYED else [*PACKAGES[name], *_pins()]
    stamp = folder / "installed"
    digest = hashlib.sha256(" ".join([*wanted, _REQUIREMENTS.read_text()]).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        click.echo(f"Making an environment for {name} ...", err=True)
        _run(name, [sys.executable, "-m", "venv", "--clear", str(folder)])
        _run(name, [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
        stamp.write_text(digest)
    return str(python)


def versions(python: str) -> dict[str, str]:
    """The distributions of an interpreter with their versions."""
    listing = [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    listed = subprocess.run(listing, capture_output=True, text=True, check=True)
    return {each["name"].lower(): each["version"] for each in json.loads(listed.stdout)}


def _pins() -> list[str]:
    """The versions of the model's libraries as the project has them."""
    pinned = _REQUIREMENTS.read_text()
    return [pin for pin in re.findall(r"^(\S+==\S+)", pinned, re.MULTILINE) if pin.split("==")[0] in _MODEL_LIBRARIES]


def _run(name: str, command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise click.ClickException(f"The environment of {name} cannot be made: {ran.stderr.strip()[-1000:]}")
