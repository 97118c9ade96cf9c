"""Files by their place: a path, a URL of an object store, or `-` for standard input and output."""

import glob
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from serialize.files.formats import KNOWN, TYPED, FileFormat, format_of
from serialize.files.place_error import PlaceError
from serialize.store.address import is_url

STANDARD = "-"

_PASSED_OVER = (".", "_")  # what the names begin with that are no part of a folder of data


def is_object(place: str) -> bool:
    """Whether a place is the URL of an object store, and not of a file on a disk."""
    return is_url(place) and not place.startswith("file:")


def local_path(place: str) -> str:
    """The path of a place on a disk, which is a path or a file:// URL. Raises PlaceError if the URL names a host."""
    if not is_url(place):
        return place
    path = unquote(place.removeprefix("file://"))
    if not path.startswith("/"):
        raise PlaceError(f"{place} names a host; give a path, or a URL like file:///folder/name.")
    return path


def resolved(place: str) -> str:
    """The same text for all names of one place."""
    return place.rstrip("/") if place == STANDARD or is_object(place) else os.path.realpath(local_path(place))


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: its name as the user knows it, its format, its size in bytes, 0 if that is not known, where it is
    opened, if that is not the name, for an object of a store a text that changes with its content, and for a file on a
    disk the time of its last change in nanoseconds."""

    name: str
    format: FileFormat
    size: int = 0
    path: str | None = None
    version: str | None = None
    modified: int | None = None

    @property
    def is_object(self) -> bool:
        """Whether the file is in an object store."""
        return is_object(self.name)

    def digest(self) -> str:
        """A text that changes with the content: the sha256 of a file in hex, the ETag and the size of an object. Raises
        PlaceError."""
        if self.version is not None:
            return self.version
        try:
            with self.open() as file:
                return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as error:
            raise PlaceError(f"{self.name} cannot be read: {error.strerror}.") from error

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content of the file. It is seekable unless it is standard input. Raises PlaceError, also if the file has
        changed since it was found."""
        if self.name == STANDARD and self.path is None:
            yield sys.stdin.buffer
            return
        if self.is_object:
            from serialize.files import object_store  # noqa: PLC0415 - obstore must not be used before a fork

            if self.version is not None and object_store.version_of(self.name) != self.version:
                raise self._changed()
            with object_store.open_to_read(self.name) as file:
                yield file
            return
        with ExitStack() as stack:
            try:
                file = stack.enter_context(Path(self.path or self.name).open("rb"))
            except OSError as error:
                raise PlaceError(f"{self.name} cannot be read: {error.strerror}.") from error
            found = os.fstat(file.fileno())
            if self.modified is not None and (found.st_size, found.st_mtime_ns) != (self.size, self.modified):
                raise self._changed()
            yield file

    def _changed(self) -> PlaceError:
        return PlaceError(f"{self.name} has changed since this run began; start it again.")


@contextmanager
def spooled(file: InputFile) -> Iterator[InputFile]:
    """The file, or for Parquet and Arrow from standard input, which must be seekable, a temporary file with its
    content."""
    if file.name != STANDARD or file.format.name not in TYPED:
        yield file
        return
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield replace(file, path=copy.name)


def input_files(
    places: Sequence[str], standard: FileFormat | None = None, *, otherwise: FileFormat | None = None
) -> list[InputFile]:
    """The files of some places in order. A place is a file, a folder, whose files with a known ending count, or a
    pattern with * or ?. `standard` is the format of standard input, and `otherwise` that of a file whose own name is
    given and has no known ending; None refuses it. Raises PlaceError."""
    found: dict[str, InputFile] = {}
    for place in places:
        try:
            files = list(_files(place, standard, otherwise))
        except OSError as error:
            raise PlaceError(f"{place} cannot be read: {error.strerror}.") from error
        if not files:
            raise PlaceError(f"{place} has no file that can be read; the endings are {KNOWN}.")
        for file in files:
            if resolved(file.name) in found:
                raise PlaceError(f"{file.name} is given twice.")
            found[resolved(file.name)] = file
    return list(found.values())


def _files(place: str, standard: FileFormat | None, otherwise: FileFormat | None) -> Iterator[InputFile]:
    if place == STANDARD:
        if standard is None:
            raise PlaceError("Say with --input-format what standard input holds.")
        yield InputFile(STANDARD, standard)
        return
    if is_object(place):
        yield from _objects(place, otherwise)
        return
    path = local_path(place)
    if os.path.isfile(path):
        yield _on_disk(path, _required_format(path, otherwise))
        return
    if not os.path.exists(path) and not glob.has_magic(path):
        raise PlaceError(f"{place} does not exist.")
    for name in sorted(_below(path) if os.path.isdir(path) else _matching(path)):
        form = format_of(name)
        if form is not None and os.path.isfile(name):
            yield _on_disk(name, form)


def _on_disk(path: str, form: FileFormat) -> InputFile:
    found = os.stat(path)
    return InputFile(path, form, found.st_size, os.path.abspath(path), modified=found.st_mtime_ns)


def _below(folder: str) -> Iterator[str]:
    """The files below a folder, without those of hidden folders and of other programs' temporary ones. Raises
    OSError."""
    for parent, folders, names in os.walk(folder, onerror=raised):
        folders[:] = [name for name in folders if not name.startswith(_PASSED_OVER)]
        yield from (os.path.join(parent, name) for name in names if not name.startswith(_PASSED_OVER))


def _matching(pattern: str) -> Iterator[str]:
    """The files and folders that match a pattern, without those that `_below` leaves out. A name may begin with `_` if
    the pattern says so."""
    given = re.split(r"[*?[]", pattern, maxsplit=1)[0]
    for name in glob.glob(pattern, recursive=True):
        if not any(part.startswith(_PASSED_OVER) for part in name[len(given) :].split(os.sep)):
            yield name


def _objects(url: str, otherwise: FileFormat | None) -> Iterator[InputFile]:
    from serialize.files.object_store import list_files  # noqa: PLC0415 - as above

    files = list_files(url)
    if not files and not glob.has_magic(url):
        raise PlaceError(f"{url} does not exist, or is empty.")
    for file in files:
        form = _required_format(file.url, otherwise) if file.url == url else format_of(file.url)
        inner = file.url[len(url.partition("*")[0].partition("?")[0]) :].split("/")
        if form is not None and not any(part.startswith(_PASSED_OVER) for part in inner):
            yield InputFile(file.url, form, file.size, version=file.version)


def raised(error: OSError) -> None:
    """Raises the error: os.walk passes over what cannot be read, unless it gets this function."""
    raise error


def _required_format(name: str, otherwise: FileFormat | None) -> FileFormat:
    form = format_of(name) or otherwise
    if form is None:
        raise PlaceError(f"{name} has none of the endings {KNOWN}.")
    return form
