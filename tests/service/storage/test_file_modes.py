"""Only the owner can read the files of a SQLite log, with any umask, and the lock does not follow a symbolic link."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.storage.connection import DatabaseError, connect
from service.storage.migrate import prepare
from service.storage.session import Session
from service.storage.sqlite_file import WriterLock
from tests.support.filled import insert

FILES = ("predictions.db", "predictions.db-wal", "predictions.db-shm", "predictions.db.lock")


@pytest.fixture(params=[0o000, 0o022, 0o077], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mode & 0o777 for name in FILES}


def test_every_file_of_a_new_log_is_private(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    session = Session(connect(url))
    session.run(lambda: insert(session.database, "1"))

    assert modes(tmp_path) == dict.fromkeys(FILES, 0o600)
    session.close()


def test_the_files_of_an_older_version_become_private_at_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    session = Session(connect(url))
    session.run(lambda: insert(session.database, "1"))
    for name in FILES:
        (tmp_path / name).chmod(0o644)

    prepare(connect(url))

    assert modes(tmp_path) == dict.fromkeys(FILES, 0o600)
    assert session.run(lambda: insert(session.database, "2")) == 2
    session.close()


def test_the_log_may_be_a_link_to_a_volume_even_before_its_first_start(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (tmp_path / "predictions.db").symlink_to(volume / "log.db")

    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    session = Session(connect(url))
    session.run(lambda: insert(session.database, "1"))
    (volume / "log.db-wal").chmod(0o644)
    prepare(connect(url))

    for name in ("log.db", "log.db-wal", "log.db-shm"):
        assert (volume / name).stat().st_mode & 0o777 == 0o600
    session.close()
    assert (tmp_path / "predictions.db").is_symlink()
    with closing(sqlite3.connect(volume / "log.db")) as connection:
        assert connection.execute("SELECT count(*) FROM prediction").fetchone() == (1,)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_the_place_of_the_lock_file_is_not_followed(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "target"
    if exists:
        target.write_text("kept")
    (tmp_path / "predictions.db.lock").symlink_to(target)

    with pytest.raises(DatabaseError):
        prepare(connect(f"sqlite:///{tmp_path}/predictions.db"))
    with pytest.raises(OSError, match="symbolic"), WriterLock(str(tmp_path / "predictions.db"), 1):
        pass

    assert target.exists() is exists
    assert not exists or target.read_text() == "kept"
