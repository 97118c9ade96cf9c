"""Files of an object store: listed, read and written through obstore. It must not be used before a fork."""

import fnmatch
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir
from typing import IO, Any, NamedTuple

import obstore
from obstore.exceptions import NotSupportedError

from serialize.errors import ArtifactError
from serialize.files.place_error import PlaceError
from serialize.store.address import checked_url
from serialize.store.client import PATIENCE_SECONDS
from serialize.store.transfer import open_store, reason, variables

_BUFFER_BYTES = 4 * 1024 * 1024


class ObjectFile(NamedTuple):
    """A file of a store: its URL, its size in bytes, and a text that changes with its content."""

    url: str
    size: int
    version: str

    @classmethod
    def of(cls, url: str, meta: Mapping[str, Any]) -> "ObjectFile":
        """The file with this URL and the description `meta` that obstore gives of it."""
        return cls(url, meta["size"], f"{meta['e_tag'] or meta['last_modified'].isoformat()} {meta['size']}")


def list_files(url: str) -> list[ObjectFile]:
    """The files of a URL in order: one file, those below a folder, or those that match a pattern with * or ?; of a web
    server one file. Raises PlaceError."""
    if _is_pattern(url):
        return [file for file in files_below(_folder(url)) if fnmatch.fnmatchcase(file.url, url)]
    store, path = _store(url, make=False)
    with _failures(url, "read"), suppress(FileNotFoundError):
        if path:
            return [ObjectFile.of(url, obstore.head(store, path))]
    if url.startswith("https:"):
        raise PlaceError(f"{url} does not exist; give the URL of one file, because a web server lists none.")
    return files_below(url)


def files_below(folder: str) -> list[ObjectFile]:
    """The files below a folder in order; * and ? in its name mean themselves. Raises PlaceError."""
    folder = folder.rstrip("/")
    store, path = _store(folder, make=False)
    root = folder.removesuffix(path).rstrip("/")
    with _failures(folder, "read"):
        metas = [meta for found in obstore.list(store, path or None) for meta in found]
    return sorted(ObjectFile.of(f"{root}/{meta['path']}", meta) for meta in metas)


def version_of(url: str) -> str:
    """The text of a file that changes with its content. Raises PlaceError."""
    store, path = _store(url, make=False)
    with _failures(url, "read"):
        return ObjectFile.of(url, obstore.head(store, path)).version


def remove_files(urls: Sequence[str]) -> None:
    """Removes files of one store that may be there. Raises PlaceError."""
    for url in urls:
        store, path = _store(url, make=False)
        with _failures(url, "removed"), suppress(FileNotFoundError):
            obstore.delete(store, path)


def _is_there(url: str, store: Any, path: str) -> bool:
    with _failures(url, "written"):
        try:
            obstore.head(store, path)
        except FileNotFoundError:
            return False
    return True


def _is_pattern(url: str) -> bool:
    return not url.startswith("https:") and ("*" in url or "?" in url)


def _folder(url: str) -> str:
    """The part of a URL before the first part of its path with * or ?."""
    parts = url.split("/")
    return "/".join(takewhile(lambda part: not _is_pattern(part), parts))


@contextmanager
def open_to_read(url: str) -> Iterator[IO[bytes]]:
    """The content of a file, seekable. Opening and reading raise PlaceError."""
    store, path = _store(url, make=False)
    with _failures(url, "read"):
        file = _opened(url, store, path)
    with file:
        yield file


@contextmanager
def open_to_write(url: str, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """A new file, which is there when the block ends without an error. Raises FileExistsError if there is one already,
    unless `replace` is set. Opening and writing raise PlaceError."""
    store, path = _store(url, make=True)
    if not replace and _is_there(url, store, path):
        raise FileExistsError(url)
    with _failures(url, "written"):
        writer = obstore.open_writer(store, path)
    file = io.BufferedWriter(_Writer(url, writer), _BUFFER_BYTES)
    yield file
    file.flush()
    with _failures(url, "written"):
        writer.close()


def _opened(url: str, store: Any, path: str) -> IO[bytes]:
    if not url.startswith("https:") or _gives_parts(url):
        return io.BufferedReader(_Reader(url, obstore.open_reader(store, path)), _BUFFER_BYTES)
    copy = _copied(url, version_of(url))
    return Path(copy.name).open("rb")


@lru_cache(maxsize=64)  # the parts of a file are opened one by one
def _gives_parts(url: str) -> bool:
    """Whether a web server answers a request for a part of a file, as some do not."""
    store, path = _store(url, make=False)
    try:
        if obstore.head(store, path)["size"]:
            obstore.get_range(store, path, start=0, length=1)
    except NotSupportedError:
        return False
    return True


@lru_cache(maxsize=1)  # the parts of a file are opened one by one
def _copied(url: str, _version: str) -> IO[bytes]:
    """A temporary file with the whole content of a file."""
    store, path = _store(url, make=False)
    copy = NamedTemporaryFile()  # noqa: SIM115 - it is removed when the cache and all readers have dropped it
    try:
        for chunk in obstore.get(store, path).stream(min_chunk_size=_BUFFER_BYTES):
            _append(copy, chunk, url)
    except BaseException:
        copy.close()
        raise
    return copy


def _append(copy: IO[bytes], chunk: Any, url: str) -> None:
    try:
        copy.write(chunk)
        copy.flush()
    except OSError as error:
        why = f"{error.strerror}; set TMPDIR to a folder with enough space"
        raise PlaceError(f"{url} cannot be copied to {gettempdir()}: {why}.") from error


class _Reader(io.RawIOBase):
    """A file of obstore as a binary file of Python."""

    def __init__(self, url: str, file: Any) -> None:
        self._url = url
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with _failures(self._url, "read"):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Writer(io.RawIOBase):
    """A file that obstore writes as a binary file of Python. To close it does not end the file of the store."""

    def __init__(self, url: str, writer: Any) -> None:
        self._url = url
        self._writer = writer

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        with _failures(self._url, "written"):
            self._writer.write(bytes(content))
        return len(content)


def _store(url: str, *, make: bool) -> tuple[Any, str]:
    """The store of a URL, and the path of the file in it."""
    try:
        url = checked_url(url)
    except ArtifactError as error:
        raise PlaceError(str(error)) from error
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme == "file":
        bucket, path = "", rest.removeprefix("/")
    with _failures(url, "read"):
        return open_store(f"{scheme}://{bucket or '/'}", PATIENCE_SECONDS, make=make), path


@contextmanager
def _failures(url: str, done: str) -> Iterator[None]:
    """Turns the errors of the store into one sentence, without any secret that they may hold."""
    try:
        yield
    except PlaceError:
        raise
    except Exception as error:  # noqa: BLE001 - obstore's messages may hold credentials, so none is passed on
        why = reason(error, variables(url)) or "the transfer broke off; try again later"
        raise PlaceError(f"{url} cannot be {done}: {why}.") from None
