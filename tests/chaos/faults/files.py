"""Faults of the SQLite file and its file system."""

import fcntl
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.chaos.faults.outage import outage
from tests.chaos.outcome import RECOVERY_SECONDS, Outcome, Scale, recorded
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage, web_command

_ROOM_BYTES = 64 * 1024
_OUTAGE_SECONDS = 3.0
_UNPRIVILEGED = (sys.executable, "-m", "tests.chaos.faults.unprivileged")


def file_is_locked(folder: Path, scale: Scale) -> Outcome:
    """Another process holds the write lock."""
    path = folder / "log.db"
    with Stage(folder, f"sqlite:///{path}") as stage, _holder(path) as holder:

        def fault(recorder: Recorder) -> float:
            return outage(stage, recorder, holder.hold, holder.let_go, scale.lock_seconds)

        name = f"the file locked by another process for {scale.lock_seconds:g} s"
        return recorded(name, stage, fault, recovers_within=RECOVERY_SECONDS)


def turn_is_held(folder: Path, scale: Scale) -> Outcome:
    """A stopped process holds the writer lock of the service."""
    path = folder / "log.db"
    with Stage(folder, f"sqlite:///{path}") as stage, Path(f"{path}.lock").open("w") as turn:

        def fault(recorder: Recorder) -> float:
            def hold() -> None:
                fcntl.flock(turn, fcntl.LOCK_EX)

            def let_go() -> None:
                fcntl.flock(turn, fcntl.LOCK_UN)

            return outage(stage, recorder, hold, let_go, scale.lock_seconds)

        name = f"a turn that is not let go for {scale.lock_seconds:g} s"
        return recorded(name, stage, fault, recovers_within=RECOVERY_SECONDS)


def disk_is_full(folder: Path, scale: Scale) -> Outcome:
    """No file of the service can grow, as on a full disk."""
    path = folder / "log.db"
    with Stage(folder, f"sqlite:///{path}") as stage:

        def fill() -> None:
            largest = max(each.stat().st_size for each in folder.glob("log.db*"))
            limit_files(stage, largest + _ROOM_BYTES)
            _wait_until_refused(recorder_of[0])

        def mend() -> None:
            limit_files(stage, resource.RLIM_INFINITY)

        def fault(recorder: Recorder) -> float:
            recorder_of.append(recorder)
            return outage(stage, recorder, fill, mend, _OUTAGE_SECONDS, partial=True)

        recorder_of: list[Recorder] = []
        return recorded("no file may grow (RLIMIT_FSIZE)", stage, fault, recovers_within=RECOVERY_SECONDS)


def file_system_is_full(folder: Path, scale: Scale) -> Outcome:
    """Another program fills the file system of the database file. Requires root."""
    with small_file_system(folder) as disk, Stage(folder, f"sqlite:///{disk}/log.db") as stage:

        def fill() -> None:
            fill_up(disk / "other")
            _wait_until_refused(recorder_of[0])

        def fault(recorder: Recorder) -> float:
            recorder_of.append(recorder)
            return outage(stage, recorder, fill, (disk / "other").unlink, _OUTAGE_SECONDS, partial=True)

        recorder_of: list[Recorder] = []
        return recorded("the file system full", stage, fault, recovers_within=RECOVERY_SECONDS)


def file_is_read_only(folder: Path, scale: Scale) -> Outcome:
    """The file becomes read-only, and new workers open it."""
    path = folder / "log.db"
    with Stage(folder, f"sqlite:///{path}", (*_UNPRIVILEGED, *web_command())) as stage:

        def forbid() -> None:
            path.chmod(0o444)
            old = stage.workers()
            for worker in old:
                worker.kill()
            for worker in old:
                worker.wait(10)

        def fault(recorder: Recorder) -> float:
            return outage(stage, recorder, forbid, lambda: path.chmod(0o644), _OUTAGE_SECONDS, kills=True)

        name = "the file read-only"
        return recorded(name, stage, fault, interrupts=True, cuts=True, recovers_within=RECOVERY_SECONDS)


def file_is_deleted(folder: Path, scale: Scale) -> Outcome:
    """The file is deleted and later restored: meanwhile no request gets a 200, and no new file is created."""
    path, aside = folder / "log.db", folder / "aside"
    with Stage(folder, f"sqlite:///{path}") as stage:

        def delete() -> None:
            os.link(path, aside)
            path.unlink()

        def put_back() -> None:
            assert not path.exists(), "a new file was created"
            aside.rename(path)

        def fault(recorder: Recorder) -> float:
            return outage(stage, recorder, delete, put_back, _OUTAGE_SECONDS, refuses_all=True)

        return recorded("the file deleted, and put back", stage, fault, recovers_within=RECOVERY_SECONDS)


def can_mount() -> bool:
    """Whether this process may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)
    return mounted


class _Holder:
    """A connection of another process."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)

    def hold(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _holder(path: Path) -> Iterator[_Holder]:
    holder = _Holder(path)
    try:
        yield holder
    finally:
        holder.close()


def limit_files(stage: Stage, most: int) -> None:
    """Sets the most bytes that a file of the service may have."""
    for process in stage.served.processes():
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, hard))


def _wait_until_refused(recorder: Recorder) -> None:
    """Waits until the free space is used up."""
    before = recorder.total("unavailable")
    deadline = time.monotonic() + 60
    while recorder.total("unavailable") == before:
        assert time.monotonic() < deadline, "the free space was never used up"
        time.sleep(0.01)


def fill_up(path: Path) -> None:
    """Fills the file system, then frees enough for a few more requests."""
    with path.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(_ROOM_BYTES))
        file.truncate(max(0, file.tell() - _ROOM_BYTES))


@contextmanager
def small_file_system(folder: Path) -> Iterator[Path]:
    """A file system of 16 MB until the block ends."""
    with ExitStack() as stack:
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(disk)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        yield disk
