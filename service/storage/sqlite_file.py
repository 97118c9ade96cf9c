"""The file of a SQLite log as a thing in the file system: whether it is sound, and whether it is still there."""

import fcntl
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO

from gevent import monkey

_CHECK_SECONDS = 1.0
_STEPS_BETWEEN_LOOKS = 10_000
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class KeptFile:
    """A file that must stay the one it is. Who has it open could go on writing to it after it was deleted or replaced,
    and all of that would be gone at the end; who opens it anew would begin an empty log."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def require(self) -> None:
        """Raises OSError unless the path still leads to this file."""
        if _identity(self._path) != self._identity:
            raise FileNotFoundError("the file was replaced by another")


def damage(path: str) -> str | None:
    """What is wrong with the file, or None. It is read and never written to; of a large one what can be read in a
    second."""
    if not Path(path).is_file() or not Path(path).stat().st_size:
        return None
    deadline = time.monotonic() + _CHECK_SECONDS
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error) if error.sqlite_errorcode & 0xFF in _DAMAGED else None
    return None if found == "ok" else str(found)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


_sleep = monkey.get_original("time", "sleep")
_SHORTEST_SECONDS = 0.0001
_LONGEST_SECONDS = 0.001


class WriterLock:
    """A lock between processes, beside the database file. It is let go when its process ends, however it ends. A
    process that is stopped while it has the lock keeps it: with `patience`, in seconds, the others give up then with
    TimeoutError. Not to be held over a fork: parent and child would hold it together."""

    def __init__(self, database_file: str, patience: float | None = None) -> None:
        self._path = Path(f"{database_file}.lock")
        self._patience = patience
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
        if self._patience is None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        elif not self._taken():
            self._wait(self._patience)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the file of the lock; the next use opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _taken(self) -> bool:
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        pause = _SHORTEST_SECONDS
        while not self._taken():
            if time.monotonic() > deadline:
                raise TimeoutError("another process has had its turn for too long")
            _sleep(pause)
            pause = min(2 * pause, _LONGEST_SECONDS)
