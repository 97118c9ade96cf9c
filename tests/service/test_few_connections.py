"""A start warns if the workers may need nearly all connections that PostgreSQL allows."""

from collections.abc import Callable
from typing import Any

import pytest

import service.factory
from service.storage.connection import connect
from service.storage.session import Session, SessionInTurn
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
    each = service.factory._SESSIONS
    figures = f"event=few-connections limit={limit} needed={each * workers} workers={workers} of_each={each}"

    assert (figures in capsys.readouterr().out) == warns


def test_each_worker_has_as_many_sessions_as_the_warning_counts(
    make_client: MakeClient, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(kind: type[Session]) -> Callable[..., Session]:
        def make(*arguments: Any) -> Session:
            made.append(kind(*arguments))
            return made[-1]

        return make

    for kind in (Session, SessionInTurn):
        monkeypatch.setattr(service.factory, kind.__name__, counted(kind))
    make_client(database_url=postgresql_url)

    assert len(made) == service.factory._SESSIONS
