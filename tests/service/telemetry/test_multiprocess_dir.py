"""The directory of the metrics belongs to one service, and each of its files is allocated before it is mapped."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.telemetry.multiprocess_dir import MultiprocessDir, make_room
from tests.support.passengers import PROJECT

COUNT_WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
from service.telemetry.metrics import Metrics
from service.telemetry.multiprocess_dir import MultiprocessDir
metrics = Metrics(lambda path: path, tuple)
metrics.add_model("v", {None: ""})
metrics.share(MultiprocessDir.make(Path(sys.argv[1])))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for i in range(200):
    metrics.request(f"/{i}", "GET", "200", 0.001)
    metrics.batch(1, 0.001, {("v", None): 1})
    metrics.refused("reason")
print(metrics.render().count("_duration_seconds_count{"))
"""


def test_only_a_directory_that_no_process_uses_is_removed(tmp_path: Path) -> None:
    used = MultiprocessDir.make(tmp_path)
    abandoned = tmp_path / (used.path.name + "-abandoned")
    abandoned.mkdir()
    (abandoned / "lock").touch()

    other = MultiprocessDir.make(tmp_path)

    assert set(tmp_path.iterdir()) == {used.path, other.path}
    open_here = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert sum(path.is_relative_to(tmp_path) for path in open_here) == 2
    used.remove()
    other.remove()
    assert not list(tmp_path.iterdir())


def test_the_temporary_directory_replaces_one_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    made = MultiprocessDir.make(tmp_path / "missing")

    assert made.path.parent == tmp_path
    made.remove()


@pytest.mark.parametrize(("free", "is_used"), [(16 * 1024 * 1024 - 1, False), (16 * 1024 * 1024, True)])
def test_a_directory_with_less_than_16_mib_left_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_used: bool
) -> None:
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))

    made = MultiprocessDir.make(tmp_path / "memory")

    assert made.path.parent == (tmp_path / "memory" if is_used else tmp_path)
    made.remove()


def test_a_file_is_allocated_and_doubled_before_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "counter_0.db"

    make_room(path, 100)
    first = path.stat()
    path.write_bytes((first.st_size - 50).to_bytes(4, sys.byteorder) + bytes(first.st_size - 4))
    make_room(path, 100)
    second = path.stat()

    assert first.st_blocks * 512 >= first.st_size > 0
    assert second.st_size == 2 * first.st_size
    assert second.st_blocks * 512 >= second.st_size


def test_labels_that_are_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="labels are too long"):
        make_room(tmp_path / "counter_0.db", 1_000_000)


@pytest.mark.parametrize(("limit", "counted"), [(1000, 0), (100_000, 10), (1_000_000, 100)])
def test_a_process_whose_files_cannot_grow_only_loses_counts(limit: int, counted: int, tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY

    command = [sys.executable, "-c", COUNT_WITHOUT_ROOM, str(tmp_path), str(limit)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert counted <= int(ran.stdout) < 200
