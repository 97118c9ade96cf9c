"""Whose turn it is to write to a SQLite file. SQLite lets a process that finds the file locked sleep and try again, so
that the lucky go first and the others wait long; a lock of the operating system wakes them as soon as it is free."""

import fcntl
from pathlib import Path
from types import TracebackType
from typing import IO


class Turn:
    """A lock between processes, beside the database file. It is let go when its process ends, however it ends. Not to
    be held over a fork: parent and child would hold it together."""

    def __init__(self, database_file: str) -> None:
        self._path = Path(f"{database_file}.lock")
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

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
