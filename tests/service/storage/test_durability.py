"""What a commit means on the service's own connection: that it is flushed when it returns, on both databases."""

from pathlib import Path

from service.storage.session import Session
from tests.conftest import MakeClient


def session_of(make_client: MakeClient, database_url: str) -> Session:
    """The session that a served app answers through, after it has answered."""
    app = make_client(database_url=database_url).application
    session: Session = app.extensions["session"]
    return session


def told(session: Session, statement: str) -> object:
    return session.run(lambda: session.database.execute_sql(statement).fetchone()[0])


def test_sqlite_flushes_its_log_at_every_commit(make_client: MakeClient, tmp_path: Path) -> None:
    session = session_of(make_client, f"sqlite:///{tmp_path}/log.db")

    assert told(session, "PRAGMA journal_mode") == "wal"
    assert told(session, "PRAGMA synchronous") == 2


def test_postgresql_flushes_its_log_at_every_commit(make_client: MakeClient, postgresql_url: str) -> None:
    session = session_of(make_client, postgresql_url)

    assert {name: told(session, f"SHOW {name}") for name in ("synchronous_commit", "fsync", "full_page_writes")} == {
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
    }
