"""The folder in which the processes of one service keep what they count: private, in memory where the machine has a
file system for that, and removed at the end. What a service that was killed has left is removed by the next one."""

import fcntl
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

_NAME = "prediction-service-metrics-"
_IN_MEMORY = Path("/dev/shm")
_LEAST_FREE_BYTES = 16 * 1024 * 1024


class SharedFolder:
    """A folder that nobody else uses. It is locked for as long as its maker or a process forked from that lives."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._end = weakref.finalize(self, _end_as, os.getpid(), path, lock)

    @classmethod
    def make(cls) -> Self:
        """A new one, of the user's alone. Raises OSError where none can be made."""
        parent = _parent()
        for left in parent.glob(_NAME + "*"):
            _remove_abandoned(left)
        # It has its name when it is locked, not before: else another start would take it for abandoned.
        unnamed = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
        path = parent / (_NAME + unnamed.name.removeprefix("new-"))
        lock = _locked(unnamed)
        unnamed.rename(path)
        return cls(path, lock)

    def remove(self) -> None:
        """Removes it, in the process that has made it."""
        self._end()


def _locked(folder: Path) -> int:
    """The descriptor that holds the lock of a folder; processes that are forked from this one hold it too."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _parent() -> Path:
    """Where there is room: a page that cannot be had when it is written to would end the process."""
    with suppress(OSError):
        room = os.statvfs(_IN_MEMORY)
        if os.access(_IN_MEMORY, os.W_OK) and room.f_bavail * room.f_frsize >= _LEAST_FREE_BYTES:
            return _IN_MEMORY
    return Path(tempfile.gettempdir())


def _remove_abandoned(folder: Path) -> None:
    """Removes a folder of this user's that no process has locked."""
    with suppress(OSError):
        if folder.lstat().st_uid == os.getuid():
            lock = _locked(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _end_as(maker: int, folder: Path, lock: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
