"""A start warns if the workers may need nearly all connections that PostgreSQL allows."""

import pytest

import service.factory
from service.storage.connection import connect
from service.storage.session import Session
from tests.conftest import MakeClient


@pytest.mark.parametrize(("limit", "workers", "warns"), [(20, 4, True), (20, 2, False), (14, 2, True), (100, 2, False)])
def test_the_warning_has_the_figures(
    make_client: MakeClient,
    postgresql_url: str,
    capsys: pytest.CaptureFixture[str],
    limit: int,
    workers: int,
    warns: bool,
) -> None:
    database = connect(postgresql_url)
    with database.connection_context():
        database.execute_sql(f"ALTER DATABASE {database.database} CONNECTION LIMIT {limit}")

    make_client(database_url=postgresql_url, web_concurrency=workers)
    figures = f"event=few-connections limit={limit} needed={6 * workers} workers={workers} of_each=6"

    assert (figures in capsys.readouterr().out) == warns


def test_each_worker_has_as_many_sessions_as_the_warning_counts(
    make_client: MakeClient, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Counted(Session):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(service.factory, "Session", Counted)
    make_client(database_url=postgresql_url)

    assert len(made) == service.factory._SESSIONS
