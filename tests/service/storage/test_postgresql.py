"""Waiting for a silent PostgreSQL server ends in time, and the server releases the locks of a lost connection."""

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from service.errors import Unavailable
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.session import Session
from tests.chaos.faults.proxy import Proxy

INSERT = "INSERT INTO prediction (observation_id, observation, created_at) VALUES ('1', '{}', now())"


@pytest.fixture
def proxy(postgresql_url: str) -> Iterator[Proxy]:
    folder = parse_qs(urlsplit(postgresql_url).query)["host"][0]
    with Proxy(f"{folder}/.s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def session(proxy: Proxy, postgresql_url: str) -> Iterator[Session]:
    name = urlsplit(postgresql_url).path
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}{name}"
    prepare(connect(url))
    session = Session(connect(url, patience=0.5))
    yield session
    session.close()


def count(session: Session) -> int:
    number: int = session.run(lambda: session.database.execute_sql("SELECT count(*) FROM prediction").fetchone()[0])
    return number


def test_a_silent_server_is_unavailable_in_time_and_reconnected_later(proxy: Proxy, session: Session) -> None:
    count(session)
    proxy.swallow()
    began = time.monotonic()

    with pytest.raises(Unavailable):
        count(session)
    taken = time.monotonic() - began
    proxy.restore()

    assert taken < 5
    assert count(session) == 0


def test_the_locks_of_a_lost_connection_are_released(proxy: Proxy, session: Session) -> None:
    def cut_after_the_insert() -> None:
        session.database.execute_sql(INSERT)
        proxy.swallow()

    with pytest.raises(Unavailable):
        session.run(cut_after_the_insert)
    proxy.restore()
    deadline = time.monotonic() + 60
    stored = False
    while not stored and time.monotonic() < deadline:
        try:
            session.run(lambda: session.database.execute_sql(INSERT))
            stored = True
        except Unavailable:
            continue

    assert stored
    assert count(session) == 1


def test_a_statement_that_takes_too_long_is_unavailable(session: Session) -> None:
    with pytest.raises(Unavailable):
        session.run(lambda: session.database.execute_sql("SELECT pg_sleep(30)"))


def test_preparing_a_database_has_no_time_limit(postgresql_url: str) -> None:
    database = connect(postgresql_url)

    with database.connection_context():
        limits = [database.execute_sql(f"SHOW {name}_timeout").fetchone()[0] for name in ("statement", "lock")]

    assert limits == ["0", "0"]
