"""The file of a SQLite log as a thing in the file system: whether it is sound, and whether it is still there."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

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
