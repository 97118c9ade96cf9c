"""A broken connection is replaced, and work that failed is reported as Unavailable."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from peewee import DataError, OperationalError

from service.batching import OneAtATime, run_here
from service.errors import Unavailable
from service.storage import sqlite_file
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.session import Session, SessionInTurn
from service.storage.sqlite_file import WriterLock
from tests.support.waiting import WAIT_SECONDS


def count(session: Session) -> int:
    number: int = session.run(lambda: session.database.execute_sql("SELECT count(*) FROM prediction").fetchone()[0])
    return number


def test_a_connection_that_the_server_closed_is_replaced(postgresql_url: str) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    count(session)
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                      " AND datname = current_database()")  # fmt: skip

    assert count(session) == 0
    session.close()


def test_an_unreachable_server_is_unavailable() -> None:
    session = Session(connect("postgres://localhost:1/nothing"))

    with pytest.raises(Unavailable) as refused:
        count(session)

    assert refused.value.retry_after


def test_a_locked_file_is_unavailable_until_it_is_released(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    database = connect(url)
    session = Session(database)
    count(session)
    database.execute_sql("PRAGMA busy_timeout = 10")
    holder = sqlite3.connect(tmp_path / "predictions.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable):
        count(session)
    holder.execute("ROLLBACK")

    assert count(session) == 0
    holder.close()
    session.close()


def test_a_read_only_server_is_not_ready(postgresql_url: str) -> None:
    prepare(connect(postgresql_url))
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())

    with pytest.raises(Unavailable):
        Session(connect(postgresql_url)).ping()


def test_a_ping_leaves_no_connection_open(database_url: str) -> None:
    prepare(connect(database_url))
    session = Session(connect(database_url))

    session.ping()

    assert session.database.is_closed()


def test_failed_work_is_rolled_back(database_url: str) -> None:
    prepare(connect(database_url))
    session = Session(connect(database_url))

    def half() -> None:
        session.database.execute_sql(
            "INSERT INTO prediction (observation_id, observation, created_at) VALUES ('1', '{}', '2026-01-01')"
        )
        raise LookupError

    with pytest.raises(LookupError):
        session.run(half)

    assert count(session) == 0
    session.close()


def test_a_refused_value_is_not_reported_as_an_unavailable_database(postgresql_url: str) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))

    with pytest.raises(DataError):
        session.run(lambda: session.database.execute_sql("SELECT CAST('x' AS integer)"))

    assert count(session) == 0
    session.close()


def test_a_folder_without_write_access_for_the_lock_file_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    (tmp_path / "predictions.db.lock").unlink()
    (tmp_path / "predictions.db.lock").mkdir()

    with pytest.raises(Unavailable):
        count(Session(connect(url)))


def test_writes_to_a_deleted_file_are_not_acknowledged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    session = Session(connect(url))
    count(session)
    (tmp_path / "predictions.db").unlink()

    for _ in range(2):  # with an open connection, then without one
        with pytest.raises(Unavailable):
            count(session)

    assert not (tmp_path / "predictions.db").exists()


def test_a_file_that_replaced_the_log_is_not_written_to(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    session = Session(connect(url))
    count(session)
    (tmp_path / "predictions.db").rename(tmp_path / "aside.db")
    prepare(connect(url))

    for _ in range(2):
        with pytest.raises(Unavailable):
            count(session)
    (tmp_path / "aside.db").rename(tmp_path / "predictions.db")

    assert count(session) == 0
    session.close()


def test_work_that_fails_on_a_new_connection_is_not_repeated(session: Session) -> None:
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        raise OperationalError("the server is starting")

    with pytest.raises(Unavailable):
        session.run(work)

    assert len(tried) == 1


def test_waiting_for_a_held_lock_ends_after_its_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(sqlite_file, "_sleep", pause)
    holder, waiting = WriterLock(str(tmp_path / "log.db")), WriterLock(str(tmp_path / "log.db"), patience=0.05)

    with holder, pytest.raises(TimeoutError), waiting:
        pass
    assert pauses[:5] == pytest.approx([0.0001, 0.0002, 0.0004, 0.0008, 0.001])
    with waiting:
        assert True

    holder.close()
    waiting.close()


def test_a_ping_writes_to_detect_a_full_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    prepare(connect(url))
    held = Session(connect(url))
    count(held)
    log = tmp_path / "predictions.db-wal"
    before = log.stat().st_size

    Session(connect(url)).ping()

    assert log.stat().st_size > before
    held.close()


def test_work_in_turn_never_overlaps_and_leaves_no_connection_open(database_url: str) -> None:
    prepare(connect(database_url))
    session = SessionInTurn(connect(database_url), OneAtATime(run_here, WAIT_SECONDS))
    running: list[None] = []

    def work() -> int:
        running.append(None)
        most = len(running)
        session.database.execute_sql("SELECT 1").fetchone()
        running.pop()
        return most

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(do, work) for do in (session.run, session.read) * 20]

    assert {job.result() for job in jobs} == {1}
    assert session.database.is_closed()
