"""A file that is there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to, readable by its owner only, which takes its name when the block ends well; by then it is on
    the disk. Raises FileExistsError for a name that is taken, unless that file is to be replaced."""
    target = path.resolve()
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
        flush_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flushes a folder, without which the name of a new file may be lost though its content is not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_free(target: Path, replace: bool) -> None:
    if target.exists() and not (replace and target.is_file()):
        raise FileExistsError(f"{target.name} is there already")
