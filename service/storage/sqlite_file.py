"""The file of a SQLite log: who can read it, whether it is damaged or was replaced, and who may write to it."""

import fcntl
import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from gevent import monkey

_CHECK_SECONDS = 1.0
_STEPS_BETWEEN_LOOKS = 10_000
_PRIVATE = 0o600
_CONTAINER_LAYERS = ("overlay", "fuse.fuse-overlayfs")
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class KeptFile:
    """A file that must not be deleted or replaced while the service runs: writes to an open deleted file are lost, and
    opening the path again would start an empty log."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def require(self) -> None:
        """Raises OSError unless the path still names this file."""
        if _identity(self._path) != self._identity:
            raise FileNotFoundError("the file was replaced by another")


def make_private(path: str) -> None:
    """Creates the file if it is missing, and lets only its owner use it and the files that SQLite keeps beside it;
    SQLite gives new ones the mode of the database. The file may be a symbolic link. Files of another user stay as they
    are. Raises OSError."""
    path = os.path.realpath(path)  # SQLite keeps the other files beside the file itself, not beside a link
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
    for name in (path, f"{path}-wal", f"{path}-shm"):
        # By its name: to close a descriptor of the database would release the locks of this process on it.
        with suppress(FileNotFoundError):
            found = os.stat(name)
            if _is_open_to_others(found):
                os.chmod(name, found.st_mode & _PRIVATE)


def damage(path: str, seconds: float = _CHECK_SECONDS) -> str | None:
    """What is wrong with the file, or None. The check only reads, and ends after so many seconds."""
    if not Path(path).is_file() or not Path(path).stat().st_size:
        return None
    deadline = time.monotonic() + seconds
    try:
        with closing(_read_only(path)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error) if error.sqlite_errorcode & 0xFF in _DAMAGED else None
    return None if found == "ok" else " ".join(str(found).split())


def _read_only(path: str, timeout: float = 5.0) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=timeout)


def is_in_wal_mode(path: str) -> bool:
    """Whether the file is a database in WAL mode, which no process changes at this moment."""
    try:
        # By SQLite: to close a descriptor of the database would release the locks of this process on it.
        with closing(_read_only(path, timeout=0.0)) as connection:
            return bool(connection.execute("PRAGMA journal_mode").fetchone() == ("wal",))
    except sqlite3.Error:  # there is no file, it is damaged, or another process switches the mode
        return False


def is_lost_with_container(path: str, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether the file is in the layer of a container, which is deleted with the container, and not in a volume."""
    file = Path(path).resolve()
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
        kinds = {point: kind for _, point, kind, *_ in map(str.split, lines)}
        place = file if file.exists() else file.parent
        return kinds.get("/") in _CONTAINER_LAYERS and place.stat().st_dev == os.stat("/").st_dev
    except OSError:
        return False


def _is_open_to_others(found: os.stat_result) -> bool:
    """Whether this is a file of this user that others can use."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and bool(found.st_mode & 0o077)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


_sleep = monkey.get_original("time", "sleep")
_SHORTEST_SECONDS = 0.0001
_LONGEST_SECONDS = 0.001


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW, _PRIVATE)
    if _is_open_to_others(os.fstat(descriptor)):
        os.fchmod(descriptor, _PRIVATE)
    return descriptor


class WriterLock:
    """A lock between the processes that write to a SQLite file; waiting processes poll it more often than SQLite does.
    The system releases it when its process ends. If a stopped process holds it, waiting ends with TimeoutError after
    `patience` seconds. It must not be held across a fork, because parent and child would share it. A symbolic link in
    the place of the lock file is an OSError."""

    def __init__(self, database_file: str, patience: float | None = None) -> None:
        self._path = Path(f"{database_file}.lock")
        self._patience = patience
        self._file: IO[bytes] | None = None

    def __enter__(self) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "wb", opener=_open_private)
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
        """Closes the lock file; the next use opens it again."""
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
                raise TimeoutError("another process has held the lock for too long")
            _sleep(pause)
            pause = min(2 * pause, _LONGEST_SECONDS)
