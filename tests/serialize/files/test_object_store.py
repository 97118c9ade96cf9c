"""A file of a web server that gives no parts of it is read from a temporary copy, or one sentence says why not."""

import errno
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from serialize.files import object_store
from serialize.files.place_error import PlaceError
from tests.support.web_server import web_server

CONTENT = bytes(range(256)) * 40_000  # more than one chunk


class FullDisk(io.RawIOBase):
    """A file on a disk without space."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read(url: str) -> bytes:
    with object_store.open_to_read(url) as file:
        return file.read()


@pytest.fixture(autouse=True)
def _no_copies() -> Iterator[None]:
    """Each test has a server of its own, and leaves no copy."""
    yield
    object_store._copied.cache_clear()


def test_the_copy_is_read_and_is_made_once(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def new_file() -> IO[bytes]:
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the cache keeps it
        made.append(file.name)
        return file

    monkeypatch.setattr(object_store, "NamedTemporaryFile", new_file)
    with web_server(certificate, {"/a.csv": CONTENT}, gives_parts=False) as url:
        assert [read(f"{url}/a.csv") == CONTENT for _ in range(3)] == [True] * 3
    assert len(made) == 1


def test_a_server_that_breaks_off(certificate: Path) -> None:
    with web_server(certificate, {"/a.csv": CONTENT}, gives_parts=False, breaks_off=True) as url:
        sentence = f"{url}/a.csv cannot be read: the transfer broke off; try again later."
        with pytest.raises(PlaceError, match=f"^{re.escape(sentence)}$"):
            read(f"{url}/a.csv")


def test_a_disk_without_space_for_the_copy(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "NamedTemporaryFile", FullDisk)
    monkeypatch.setattr(tempfile, "tempdir", "/small")
    with web_server(certificate, {"/a.csv": CONTENT}, gives_parts=False) as url:
        why = "No space left on device; set TMPDIR to a folder with enough space"
        sentence = f"{url}/a.csv cannot be copied to /small: {why}."
        with pytest.raises(PlaceError, match=f"^{re.escape(sentence)}$"):
            read(f"{url}/a.csv")
