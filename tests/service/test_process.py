"""A process that may wait lets all others go first, and keeps its memory."""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from service import process
from service.process import keep_freed_memory, take_lowest_priority


@pytest.fixture
def autogroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that has the priority of the session."""
    file = tmp_path / "autogroup"
    monkeypatch.setattr(process, "_AUTOGROUP", file)
    monkeypatch.setattr(os, "nice", lambda _: 19)
    return file


def test_the_leader_of_a_session_lowers_its_priority(autogroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())

    take_lowest_priority()

    assert autogroup.read_text() == "19"


def test_any_other_process_leaves_its_session_alone(autogroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid() + 1)

    take_lowest_priority()

    assert not autogroup.exists()


def test_a_system_without_priorities_of_sessions_is_none_the_worse(
    monkeypatch: pytest.MonkeyPatch, autogroup: Path, tmp_path: Path
) -> None:
    lowered: list[int] = []
    monkeypatch.setattr(os, "nice", lowered.append)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    monkeypatch.setattr(process, "_AUTOGROUP", tmp_path / "missing" / "autogroup")

    take_lowest_priority()

    assert lowered == [19]
    assert not autogroup.exists()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back page by page")
def test_memory_that_was_freed_is_kept_for_the_next_batch() -> None:
    assert _page_faults("keep_freed_memory()") < _page_faults("pass") / 10


def test_a_c_library_without_such_a_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    keep_freed_memory()


def _page_faults(statement: str) -> int:
    """How many pages a new process got while it took and freed 4 MB a hundred times."""
    script = f"""
import resource
from service.process import keep_freed_memory
{statement}
def batch():
    blocks = [bytearray(100_000) for _ in range(40)]
batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
