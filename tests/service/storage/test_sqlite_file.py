"""A damaged SQLite file is reported at the start and not changed."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from service.storage.connection import DatabaseError, connect
from service.storage.migrate import prepare, require_log
from service.storage.sqlite_file import WriterLock, damage
from tests.deployed.test_served import run
from tests.support.passengers import PROJECT


def overwritten(content: bytes) -> bytes:
    rest = content[:40_000], random.Random(0).randbytes(8192), content[48_192:]
    return b"".join(rest)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no database": lambda content: b"This is no database.\n" * 1000,
    "a broken header": lambda content: b"SQLite" + random.Random(0).randbytes(94) + content[100:],
    "cut short": lambda content: content[: len(content) // 2],
    "pages overwritten": overwritten,
    "zeros at the end": lambda content: content[:-20_000] + bytes(20_000),
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of a thousand rows."""
    path = tmp_path / "predictions.db"
    prepare(connect(f"sqlite:///{path}"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO prediction (observation_id, observation, created_at) VALUES (?, ?, '2026-01-01')",
            [(str(i), '{"Age": 22.0, "Cabin": null, "Embarked": "S", "Fare": 7.25}') for i in range(1000)],
        )
    connection.close()
    return path


def test_a_good_or_missing_file_has_no_damage(log: Path, tmp_path: Path) -> None:
    assert damage(str(log)) is None
    assert damage(str(tmp_path / "not there.db")) is None


def test_a_file_in_use_has_no_damage(log: Path) -> None:
    writer = sqlite3.connect(log, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM prediction WHERE id < 500")

    assert damage(str(log)) is None
    writer.execute("COMMIT")
    assert damage(str(log)) is None
    writer.close()


def test_the_check_of_a_long_file_ends_after_a_second(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_bytes(overwritten(log.read_bytes()))
    began = iter([0.0])
    monkeypatch.setattr("service.storage.sqlite_file.time.monotonic", lambda: next(began, 1.01))
    monkeypatch.setattr("service.storage.sqlite_file._STEPS_BETWEEN_LOOKS", 1)

    assert damage(str(log)) is None
    assert damage(str(log), 2.0) is not None


def test_nobody_waits_for_the_check_of_a_file_in_use(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = []

    def checked(path: str) -> None:
        with closing(WriterLock(path, patience=0.0)) as lock, lock:  # TimeoutError if it is taken
            locked.append(path)

    monkeypatch.setattr("service.storage.migrate.damage", checked)

    assert prepare(connect(f"sqlite:///{log}")) == []
    assert locked == [str(log)]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_refused_and_not_changed(log: Path, kind: str) -> None:
    log.write_bytes(DAMAGES[kind](log.read_bytes()))
    before = log.read_bytes()

    with pytest.raises(DatabaseError, match="damaged"):
        prepare(connect(f"sqlite:///{log}"))

    assert log.read_bytes() == before


@pytest.mark.parametrize("kind", ["no database", "a broken header", "cut short"])
def test_a_command_that_only_reads_says_which_database_is_damaged(log: Path, kind: str) -> None:
    log.write_bytes(DAMAGES[kind](log.read_bytes()))

    with pytest.raises(DatabaseError, match="The database of DATABASE_URL cannot be used: "):
        require_log(connect(f"sqlite:///{log}"))


@pytest.mark.long
def test_the_service_reports_a_damaged_file_and_does_not_start(log: Path) -> None:
    log.write_bytes(overwritten(log.read_bytes()))
    before = log.read_bytes()

    for command in (("gunicorn", "app:app"), ("python", "-m", "service", "migrate")):
        ended = run(*command, DATABASE_URL=f"sqlite:///{log}", PORT="0", ARTIFACTS=str(PROJECT / "artifacts"))
        said = ended.stdout + ended.stderr

        assert ended.returncode != 0
        assert "damaged" in said
        assert "Traceback" not in said
    assert log.read_bytes() == before
