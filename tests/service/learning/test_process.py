"""A process that may wait lets all others go first."""

import os
from pathlib import Path

import pytest

from service.learning import process
from service.learning.process import take_lowest_priority


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
