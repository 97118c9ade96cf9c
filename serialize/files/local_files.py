"""Files as paths on this machine: one of an object store is copied."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serialize.files.places import InputFile


@contextmanager
def local_paths(files: Sequence[InputFile]) -> Iterator[list[Path]]:
    """The path of each file, with the name that the file has. Copies are there until the block ends. Raises
    PlaceError."""
    with tempfile.TemporaryDirectory() as folder:
        yield [
            _copy(file, Path(folder, str(number))) if file.is_object else Path(file.path or file.name)
            for number, file in enumerate(files)
        ]


def _copy(file: InputFile, folder: Path) -> Path:
    folder.mkdir()
    path = folder / Path(file.name).name
    with file.open() as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path
