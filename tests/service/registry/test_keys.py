"""Without a variable the key of a SQLite registry is in a private file beside the log; PostgreSQL has none."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serialize.errors import ArtifactError
from service.registry.keys import registry_keys
from service.settings import Settings
from service.storage.connection import connect

KEY = "k" * 32


def keys(path: Path, **settings: str) -> tuple[str, ...]:
    return registry_keys(Settings(**settings), connect(f"sqlite:///{path}"))  # type: ignore[arg-type]


def test_the_variable_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    assert keys(tmp_path / "log.db", model_signing_key=f"{KEY},{'o' * 32}") == (KEY, "o" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = keys(tmp_path / "log.db")

    assert keys(tmp_path / "log.db") == first
    assert len(first[0]) == 64
    (made,) = tmp_path.iterdir()
    assert made.name == "log.db.model-key"
    assert made.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: keys(tmp_path / "log.db"), range(64)))

    assert len(found) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_to_the_log_has_the_key_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "log.db").symlink_to(tmp_path / "volume" / "log.db")

    assert keys(tmp_path / "log.db") == keys(tmp_path / "volume" / "log.db")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    keys(tmp_path / "log.db")
    os.chmod(tmp_path / "log.db.model-key", mode)

    with pytest.raises(ArtifactError, match="chmod 600"):
        keys(tmp_path / "log.db")


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 10])
def test_a_damaged_key_is_refused(tmp_path: Path, content: bytes) -> None:
    keys(tmp_path / "log.db")
    (tmp_path / "log.db.model-key").write_bytes(content)

    with pytest.raises(ArtifactError, match="give 32 or more"):
        keys(tmp_path / "log.db")


def test_a_link_in_the_place_of_the_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(KEY)
    (tmp_path / "log.db.model-key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ArtifactError, match="cannot be used"):
        keys(tmp_path / "log.db")


def test_postgresql_needs_the_variable(postgresql_url: str) -> None:
    assert registry_keys(Settings(), connect(postgresql_url)) == ()
    assert registry_keys(Settings(model_signing_key=KEY), connect(postgresql_url)) == (KEY,)
