"""The directory in which the processes of one service share their metrics. It is private, in memory if possible, and
removed when the service ends. If the service was killed, the next service that starts removes it."""

import errno
import fcntl
import os
import shutil
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

IN_MEMORY = Path("/dev/shm")
_NAME = "prediction-service-metrics-"
_MIN_FREE_BYTES = 16 * 1024 * 1024
_FIRST_BYTES = 64 * 1024


class MultiprocessDir:
    """A directory that no other service uses. It stays locked while its maker or a process forked from it lives."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._end = weakref.finalize(self, _release, os.getpid(), path, lock)

    @classmethod
    def make(cls, preferred: Path = IN_MEMORY) -> Self:
        """Makes a directory in `preferred`, or in the temporary directory if `preferred` is not writable or has less
        than 16 MiB left. Raises OSError if that fails too."""
        parent = preferred if _has_room(preferred) else Path(tempfile.gettempdir())
        for abandoned in parent.glob(_NAME + "*"):
            _remove_unlocked(abandoned)
        # It gets its final name after it is locked, because a service that starts removes unlocked directories.
        unnamed = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
        path = parent / (_NAME + unnamed.name.removeprefix("new-"))
        lock = _lock(unnamed)
        unnamed.rename(path)
        return cls(path, lock)

    def remove(self) -> None:
        """Removes the directory if this process made it, and releases the lock."""
        self._end()


def make_room(path: Path, needed: int) -> None:
    """Makes a file of prometheus_client, or doubles its size, so that `needed` more bytes fit. Raises OSError if not.
    Pages are allocated before mapping: writing to an unallocated page on a full file system kills the process."""
    used, size = 0, path.stat().st_size if path.exists() else 0
    if size:
        with path.open("rb") as file:
            used = int.from_bytes(file.read(4), sys.byteorder)
    if needed > _FIRST_BYTES:
        raise OSError(errno.EFBIG, "The labels are too long", str(path))
    if used + needed > size:
        # A new file gets its name after its pages, because a scrape cannot read an empty file.
        grown = path if size else path.with_suffix(".new")
        with grown.open("ab") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, 2 * size or _FIRST_BYTES)
            except OSError:
                file.truncate(size)
                raise
        grown.rename(path)


def _lock(directory: Path) -> int:
    """Locks a directory and returns the descriptor of the lock; forked processes inherit it."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _has_room(directory: Path) -> bool:
    with suppress(OSError):
        free = os.statvfs(directory)
        return os.access(directory, os.W_OK) and free.f_bavail * free.f_frsize >= _MIN_FREE_BYTES
    return False


def _remove_unlocked(directory: Path) -> None:
    """Removes a directory of the same user that no process has locked."""
    with suppress(OSError):
        if directory.lstat().st_uid == os.getuid():
            lock = _lock(directory)
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _release(maker: int, directory: Path, lock: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(directory, ignore_errors=True)
    os.close(lock)
