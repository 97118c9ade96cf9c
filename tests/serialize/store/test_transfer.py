"""The files of a folder are read as they are, and no more bytes than are allowed."""

from pathlib import Path

import pytest

from serialize import ArtifactError
from serialize.store.client import read_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with eleven bytes in two files."""
    (tmp_path / "one").write_bytes(b"a file")
    (tmp_path / "other").write_bytes(b"other")
    return tmp_path


def test_files_within_the_limit_are_read_and_a_missing_one_is_none(folder: Path) -> None:
    found = read_files(folder.as_uri(), ["one", "missing", "other"], 11)

    assert found == {"one": b"a file", "missing": None, "other": b"other"}


def test_files_that_are_too_large_together_are_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="more bytes than MODEL_MAX_BYTES allows"):
        read_files(folder.as_uri(), ["one", "other"], 10)
