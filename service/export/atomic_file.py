"""Writes a file atomically: it exists completely or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """Opens a file that only its owner can read. It gets its name, flushed to the disk, when the block ends without an
    error. Raises FileExistsError if the path exists, unless `replace` is set and it is a file, and OSError if it is a
    symbolic link; its folder may be one."""
    target = path.parent.resolve() / path.name
    _require_free(target, replace)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    private = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(private, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _require_free(target, replace)
        partial.replace(target)
        _flush_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Flushes a folder. Without it, a crash may lose the name of a new file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_free(target: Path, replace: bool) -> None:
    if target.is_symlink():
        raise OSError(errno.ELOOP, "a symbolic link is not followed; name the file itself", target.name)
    if target.exists() and not (replace and target.is_file()):
        raise FileExistsError(f"{target.name} already exists")
