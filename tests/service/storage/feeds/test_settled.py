"""PostgreSQL commits ids in any order, and no id is exported before all smaller ones are settled."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from service.storage.connection import connect
from service.storage.feeds.error import FeedError
from service.storage.feeds.settled import Settled, settled
from service.storage.migrate import prepare
from service.storage.session import Session
from tests.support.logged import logged, relabel, write
from tests.support.waiting import until

INSERT = "INSERT INTO prediction (observation_id, observation, created_at) VALUES (%s, '{}', now())"
WAITS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE query LIKE 'SELECT virtualtransaction%' AND datname = current_database()"
)


@pytest.fixture
def session(postgresql_url: str) -> Iterator[Session]:
    database = connect(postgresql_url)
    prepare(database)
    session = Session(database)
    yield session
    session.close()


@contextmanager
def writer(url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A transaction that has inserted a prediction with the next id and stays open."""
    with psycopg.connect(url) as connection:
        connection.execute(INSERT, ("late",))
        yield connection


def until_it_waits(url: str) -> None:
    """Returns when a session has read the newest ids and looks for writers."""
    with psycopg.connect(url, autocommit=True) as connection:
        until(lambda: connection.execute(WAITS).fetchone() == (1,))


def commit_early(session: Session, number: int = 1) -> None:
    session.run(lambda: write(session.database, logged(number)))


def test_the_newest_ids_of_both_feeds_are_settled_when_nobody_writes(session: Session) -> None:
    commit_early(session)
    commit_early(session, 2)
    session.run(lambda: relabel(session.database, 2, "true"))

    assert settled(session) == Settled(predictions=2, labels=1)


def test_an_open_transaction_with_a_smaller_id_is_waited_for(session: Session, postgresql_url: str) -> None:
    with writer(postgresql_url) as late, ThreadPoolExecutor() as pool:
        commit_early(session)
        waiting = pool.submit(settled, session)
        until_it_waits(postgresql_url)
        assert not waiting.done()
        late.commit()

        assert waiting.result(30) == Settled(predictions=2, labels=0)
    (count,) = session.database.execute_sql("SELECT count(*) FROM prediction WHERE id <= 2").fetchone()
    assert count == 2


def test_a_transaction_that_began_later_is_not_waited_for(session: Session, postgresql_url: str) -> None:
    commit_early(session)
    with writer(postgresql_url) as first, ThreadPoolExecutor() as pool:
        waiting = pool.submit(settled, session)
        until_it_waits(postgresql_url)
        with psycopg.connect(postgresql_url) as second:
            second.execute(INSERT, ("later",))
            first.commit()

            assert waiting.result(30) == Settled(predictions=1, labels=0)


def test_a_transaction_that_stays_open_is_an_error(session: Session, postgresql_url: str) -> None:
    with writer(postgresql_url), pytest.raises(FeedError, match=r"more than 0 s, .* repeat the export"):
        settled(session, patience=0.1)


def test_readers_are_not_waited_for(session: Session, postgresql_url: str) -> None:
    commit_early(session)
    with psycopg.connect(postgresql_url) as reader:
        reader.execute("SELECT * FROM prediction FOR SHARE")

        assert settled(session, patience=0.1) == Settled(predictions=1, labels=0)
