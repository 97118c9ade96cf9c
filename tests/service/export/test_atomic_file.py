"""A new file is private, complete or absent, and never written through a symbolic link."""

from pathlib import Path

import pytest

from service.export.atomic_file import new_file


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, replace: bool, exists: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if exists:
        target.write_text("kept")
    link.symlink_to(target)

    with pytest.raises(OSError, match="symbolic link"), new_file(link, replace=replace) as file:
        file.write(b"new")

    assert link.is_symlink()
    assert target.exists() is exists
    assert not exists or target.read_text() == "kept"


def test_a_link_that_appears_while_the_file_is_written_is_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "export"

    def write() -> None:
        with new_file(path) as file:
            file.write(b"new")
            path.symlink_to(target)

    with pytest.raises(OSError, match="symbolic link"):
        write()

    assert not target.exists()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["export"]


def test_a_replaced_file_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_text("old")
    path.chmod(0o644)

    with new_file(path, replace=True) as file:
        file.write(b"new")

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "exports").symlink_to(tmp_path / "volume")

    with new_file(tmp_path / "exports" / "file") as file:
        file.write(b"new")

    assert (tmp_path / "volume" / "file").read_bytes() == b"new"
