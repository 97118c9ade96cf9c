"""Whose turn it is to write to a SQLite file. SQLite lets a process that finds the file locked sleep and try again, so
that the lucky go first and the others wait long; here they look again much sooner, and none waits without end."""

import fcntl
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from gevent import monkey

_sleep = monkey.get_original("time", "sleep")
_SHORTEST_SECONDS = 0.0001
_LONGEST_SECONDS = 0.001


class Turn:
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
