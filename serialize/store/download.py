"""A file of an object store as a file on this machine."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serialize.errors import StoreError
from serialize.store.address import checked_url, is_url
from serialize.store.client import read_files

_MOST_BYTES = 2**40


@contextmanager
def local(place: str) -> Iterator[Path]:
    """The path of a file by its path or URL; the file of a URL is there until the block ends. Raises ArtifactError."""
    if not is_url(place):
        yield Path(place)
        return
    url, _, name = checked_url(place).rpartition("/")
    content = read_files(url, [name], _MOST_BYTES)[name]
    if content is None:
        raise StoreError(f"{place} is not there.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path
