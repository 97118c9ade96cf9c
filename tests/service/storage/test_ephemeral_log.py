"""A log that is deleted with its container is recognised, and a start warns of it."""

from pathlib import Path

import pytest

import service.factory
from service.storage.sqlite_file import is_lost_with_container
from tests.conftest import MakeClient

_IN_CONTAINER = "overlay / overlay rw,lowerdir=/layers 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n"
_ON_MACHINE = "proc /proc proc rw 0 0\n/dev/vda / ext4 rw 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "file", "lost"),
    [
        (_IN_CONTAINER, "/predictions.db", True),
        (_IN_CONTAINER.replace("overlay / overlay", "fuse-overlayfs / fuse.fuse-overlayfs"), "/predictions.db", True),
        (_IN_CONTAINER + "none /x\udce9 tmpfs rw 0 0\n", "/predictions.db", True),  # a name that is not UTF-8
        (_IN_CONTAINER, "/proc/predictions.db", False),  # another file system, as a volume is
        (_IN_CONTAINER, "/no/such/folder/predictions.db", False),
        (_ON_MACHINE, "/predictions.db", False),
        ("", "/predictions.db", False),
    ],
)
def test_only_a_file_of_the_container_itself_is_lost(tmp_path: Path, mounts: str, file: str, lost: bool) -> None:
    (tmp_path / "mounts").write_text(mounts, errors="surrogateescape")

    assert is_lost_with_container(file, tmp_path / "mounts") == lost


def test_a_link_into_a_volume_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(_IN_CONTAINER)
    (tmp_path / "predictions.db").symlink_to("/proc/version")  # a file of another file system

    assert not is_lost_with_container(str(tmp_path / "predictions.db"), tmp_path / "mounts")


def test_without_a_list_of_mounts_nothing_is_said(tmp_path: Path) -> None:
    assert not is_lost_with_container("/predictions.db", tmp_path / "missing")


@pytest.mark.parametrize("lost", [True, False])
def test_a_start_warns_of_it(
    make_client: MakeClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    lost: bool,
) -> None:
    monkeypatch.setattr(service.factory, "is_lost_with_container", lambda _: lost)

    monkeypatch.chdir(tmp_path)
    make_client(database_url="sqlite:///predictions.db")

    assert ("level=warning event=ephemeral-log file=predictions.db" in capsys.readouterr().out) == lost


def test_postgresql_keeps_the_log(
    make_client: MakeClient,
    postgresql_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service.factory, "is_lost_with_container", lambda _: True)

    make_client(database_url=postgresql_url)

    assert "ephemeral-log" not in capsys.readouterr().out
