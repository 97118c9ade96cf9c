"""On both databases, the connection of the service flushes every commit."""

from pathlib import Path

from service.storage.session import Session
from tests.conftest import MakeClient


def session_of(make_client: MakeClient, database_url: str) -> Session:
    """The session of an application that has answered a request."""
    app = make_client(database_url=database_url).application
    session: Session = app.extensions["session"]
    return session


def setting(session: Session, statement: str) -> object:
    return session.run(lambda: session.database.execute_sql(statement).fetchone()[0])


def test_sqlite_flushes_its_log_at_every_commit(make_client: MakeClient, tmp_path: Path) -> None:
    session = session_of(make_client, f"sqlite:///{tmp_path}/log.db")

    assert setting(session, "PRAGMA journal_mode") == "wal"
    assert setting(session, "PRAGMA synchronous") == 2


def test_postgresql_flushes_its_log_at_every_commit(make_client: MakeClient, postgresql_url: str) -> None:
    session = session_of(make_client, postgresql_url)

    assert {name: setting(session, f"SHOW {name}") for name in ("synchronous_commit", "fsync", "full_page_writes")} == {
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
    }
