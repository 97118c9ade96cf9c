"""Files by their place: a path, a URL of an object store, or `-` for standard input and output."""

import glob
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from serialize.store.address import is_url
from service.bulk.formats import KNOWN, FileFormat, format_of
from service.bulk.place_error import PlaceError

STANDARD = "-"

_DIGESTED_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: its name as the user knows it, and its format. `tag` changes with the content of a file of an
    object store."""

    name: str
    format: FileFormat
    tag: str = ""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content of the file. It is seekable unless it is standard input. Raises PlaceError."""
        if self.name == STANDARD:
            yield sys.stdin.buffer
            return
        if is_url(self.name):
            from service.bulk.object_store import open_to_read  # noqa: PLC0415 - obstore must not be used before a fork

            with open_to_read(self.name) as file:
                yield file
            return
        with ExitStack() as stack:
            try:
                file = stack.enter_context(Path(self.name).open("rb"))
            except OSError as error:
                raise PlaceError(f"{self.name} cannot be read: {error.strerror}.") from error
            yield file

    def digest(self) -> str:
        """What identifies the content: the sha256 of a file on this machine, and the tag of another."""
        if self.tag:
            return self.tag
        digest = hashlib.sha256()
        with self.open() as file:
            while block := file.read(_DIGESTED_AT_ONCE):
                digest.update(block)
        return digest.hexdigest()


def input_files(places: Sequence[str], standard: FileFormat | None = None) -> list[InputFile]:
    """The files of some places in order. A place is a file, a folder, whose files with a known ending count, or a
    pattern with * or ?. `standard` is the format of standard input. Raises PlaceError."""
    found: list[InputFile] = []
    for place in places:
        files = list(_files(place, standard))
        if not files:
            raise PlaceError(f"{place} has no file that can be read; the endings are {KNOWN}.")
        found += files
    names = [file.name for file in found]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise PlaceError(f"{name} is given twice.")
    return found


def _files(place: str, standard: FileFormat | None) -> Iterator[InputFile]:
    if place == STANDARD:
        if standard is None:
            raise PlaceError("Say with --input-format what standard input holds.")
        yield InputFile(STANDARD, standard)
        return
    if is_url(place) and not place.startswith("file:"):
        yield from _objects(place)
        return
    path = unquote(place.removeprefix("file://")) if is_url(place) else place
    if Path(path).is_file():
        yield InputFile(path, _required_format(path))
        return
    pattern = f"{glob.escape(path)}/**" if Path(path).is_dir() else path
    for name in sorted(glob.glob(pattern, recursive=True)):
        form = format_of(name)
        if form is not None and Path(name).is_file() and not Path(name).name.startswith("_"):
            yield InputFile(name, form)


def _objects(url: str) -> Iterator[InputFile]:
    from service.bulk.object_store import list_files  # noqa: PLC0415 - as above

    for file in list_files(url):
        form = _required_format(file.url) if file.url == url else format_of(file.url)
        if form is not None and not file.url.rpartition("/")[2].startswith(("_", ".")):
            yield InputFile(file.url, form, file.tag)


def _required_format(name: str) -> FileFormat:
    form = format_of(name)
    if form is None:
        raise PlaceError(f"{name} has none of the endings {KNOWN}.")
    return form
