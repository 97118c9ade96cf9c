"""The files of the original app are read without running code of theirs, and a bad one is named."""

import hashlib
from pathlib import Path

import pytest

from serialize import DumpError
from serialize.original.files import read_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "columns.json").write_text('["b", "a"]')
    (tmp_path / "dtypes.pickle").write_bytes(b"d" * 1234)
    (tmp_path / "pipeline.pickle").write_bytes(b"never unpickled")
    return tmp_path


def test_the_columns_keep_their_order_and_each_pickle_is_described(folder: Path) -> None:
    files = read_files(folder)

    assert files.columns == ("b", "a")
    assert files.described == [
        f"{folder}/dtypes.pickle: 1,234 bytes, sha256 {hashlib.sha256(b'd' * 1234).hexdigest()}",
        f"{folder}/pipeline.pickle: 15 bytes, sha256 {hashlib.sha256(b'never unpickled').hexdigest()}",
    ]


@pytest.mark.parametrize("name", ["columns.json", "dtypes.pickle", "pipeline.pickle"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()

    with pytest.raises(DumpError, match=f"{name} is missing; the original app has columns.json, dtypes.pickle and"):
        read_files(folder)


def test_a_folder_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "dtypes.pickle").unlink()
    (folder / "dtypes.pickle").mkdir()

    with pytest.raises(DumpError, match=r"dtypes\.pickle cannot be read \(Is a directory\)\.$"):
        read_files(folder)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"nowhere is no folder; name the one with columns\.json"):
        read_files(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '["a", null]', '"a"', '["a"', "[" * 100_000, "\xff"])
def test_columns_that_are_not_a_list_of_names_are_refused(content: str, folder: Path) -> None:
    (folder / "columns.json").write_text(content, "latin-1")

    with pytest.raises(DumpError, match=r"columns\.json is not a JSON list of column names\.$"):
        read_files(folder)


def test_a_column_that_is_listed_twice_is_refused(folder: Path) -> None:
    (folder / "columns.json").write_text('["a", "b", "a"]')

    with pytest.raises(DumpError, match=r"columns\.json lists 'a' twice\.$"):
        read_files(folder)
