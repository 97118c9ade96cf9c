"""A database file that this user may not write to is named, with the folder, the user and what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.passengers import PROJECT
from tests.support.served import environment

pytestmark = pytest.mark.long  # starts the command


def migrated(url: str) -> "subprocess.CompletedProcess[str]":
    """`python -m service migrate` by a user who must obey file modes."""
    unprivileged = (sys.executable, "-m", "tests.chaos.faults.unprivileged")
    return subprocess.run(
        (*unprivileged, sys.executable, "-m", "service", "migrate"),
        cwd=PROJECT, env=environment(DATABASE_URL=url), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_that_refuses_files_is_named(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    if is_there:
        (folder / "predictions.db").touch()
    folder.chmod(0o500)
    ran = migrated(f"sqlite:///{folder}/predictions.db")
    folder.chmod(0o700)

    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert f"folder {folder}" in ran.stderr
    assert f"User {os.geteuid()}" in ran.stderr
    assert f"chown {os.geteuid()}" in ran.stderr
    assert "DATABASE_URL" in ran.stderr
    assert "Permission denied" in ran.stderr


def test_a_file_that_refuses_writes_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.db").touch(mode=0o400)
    ran = migrated(f"sqlite:///{tmp_path}/predictions.db")

    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert f"file {tmp_path}/predictions.db" in ran.stderr
