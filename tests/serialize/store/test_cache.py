"""The cache gives back what it was given, and nothing that was changed, to its own user only."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from serialize.store.cache import Cache

CONTENT = b"the content of a file"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_a_content_is_found_by_its_digest_in_a_private_folder(cache_folder: Path) -> None:
    Cache.of_user().put(CONTENT)

    assert Cache.of_user().get(DIGEST) == CONTENT
    assert cache_folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in cache_folder.iterdir()] == [0o600]


def test_a_changed_file_counts_as_missing(cache_folder: Path) -> None:
    Cache.of_user().put(CONTENT)
    (cache_folder / DIGEST).write_bytes(b"another content")

    assert Cache.of_user().get(DIGEST) is None


@pytest.mark.parametrize("digest", ["", "..", "/etc/passwd", "../" + DIGEST, DIGEST[:-1]])
def test_what_is_no_digest_is_not_looked_up(cache_folder: Path, digest: str) -> None:
    cache = Cache.of_user()
    (cache_folder.parent / DIGEST).write_bytes(CONTENT)

    assert cache.get(digest) is None


def test_a_content_that_cannot_be_kept_leaves_no_file(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = Cache.of_user()
    monkeypatch.setattr(os, "replace", full)

    cache.put(CONTENT)

    assert not list(cache_folder.iterdir())


def test_only_the_named_files_are_kept(cache_folder: Path) -> None:
    cache = Cache.of_user()
    cache.put(CONTENT)
    cache.put(b"old")

    cache.keep_only([DIGEST])

    assert [path.name for path in cache_folder.iterdir()] == [DIGEST]


def test_a_folder_that_others_can_write_is_not_used(cache_folder: Path) -> None:
    cache_folder.mkdir(mode=0o777)
    cache_folder.chmod(0o777)

    Cache.of_user().put(CONTENT)

    assert not list(cache_folder.iterdir())


def test_a_folder_of_another_user_is_not_used(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: user)
    folder = cache_folder.with_name(f"prediction-service-{user}")
    folder.mkdir(mode=0o700)  # by the real user

    Cache.of_user().put(CONTENT)

    assert not list(folder.iterdir())


def test_a_symbolic_link_is_not_used(cache_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache_folder.symlink_to(tmp_path / "elsewhere")

    Cache.of_user().put(CONTENT)

    assert not list((tmp_path / "elsewhere").iterdir())


def test_without_a_folder_nothing_is_kept_and_nothing_fails(cache_folder: Path) -> None:
    cache_folder.write_bytes(b"a file where the folder would be")
    cache = Cache.of_user()

    cache.put(CONTENT)
    cache.keep_only([])

    assert cache.get(DIGEST) is None
    assert cache_folder.is_file()
