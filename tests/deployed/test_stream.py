"""The deployed service streams the whole log in bounded memory, and predictions go on meanwhile."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests
from peewee import SqliteDatabase

from service.client import Client
from service.storage.connection import connect
from service.storage.migrate import prepare
from tests.conftest import empty_postgresql
from tests.support.filled import fill
from tests.support.passengers import PASSENGER, prediction
from tests.support.served import Served, serve
from tests.support.waiting import until

KEY = "the-key-of-an-admin"
NDJSON = {"X-API-Key": KEY, "Accept": "application/x-ndjson"}
ROWS = 100_000
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('log')}/predictions.db"
    else:
        url = empty_postgresql(request.getfixturevalue("postgresql_server"))
    prepare(connect(url))
    fill(url, ROWS)
    return url


@pytest.fixture(scope="module")
def served(filled_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with one worker, for all tests; they only add to the log."""
    settings = {"ADMIN_KEY": KEY, "WEB_CONCURRENCY": "1"}
    with serve(tmp_path_factory.mktemp("served"), filled_url, variables=settings) as served:
        yield served


def memory(served: Served) -> int:
    """The memory of the workers in bytes."""
    return sum(worker.memory_info().rss for worker in served.workers())


def stream(served: Served) -> requests.Response:
    return requests.get(served.url + "/predictions", headers=NDJSON, stream=True, timeout=20)


def begin_and_leave(served: Served) -> None:
    """Requests the stream, reads its beginning and disconnects."""
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(
            f"GET /predictions HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nAccept: application/x-ndjson\r\n\r\n".encode()
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def clients(worker: psutil.Process) -> list[Any]:
    """The connections to the worker's own port."""
    connections = worker.net_connections()
    ports = {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
    return [one for one in connections if one.raddr and one.laddr.port in ports]


def reads_in_progress(database_url: str) -> bool:
    """Whether a transaction blocks a full checkpoint of SQLite, or a full vacuum of PostgreSQL."""
    database = connect(database_url)
    with database.connection_context():
        if isinstance(database, SqliteDatabase):
            return bool(database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        held = "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
        others = " AND datname = current_database() AND backend_type = 'client backend'"  # no autovacuum
        return bool(database.execute_sql(held + others).fetchone()[0])


def test_a_hundred_thousand_rows_are_streamed_in_bounded_memory(served: Served) -> None:
    with stream(served) as warm:
        next(warm.iter_content(MEGABYTE))
    before, most, lines, size = memory(served), 0, 0, 0
    with stream(served) as response:
        for part in response.iter_content(MEGABYTE):
            lines, size = lines + part.count(b"\n"), size + len(part)
            most = max(most, memory(served))

    assert lines >= ROWS
    assert size > 25 * MEGABYTE
    assert most - before < 12 * MEGABYTE


@pytest.mark.long
def test_an_unread_stream_blocks_no_predictions_and_no_checkpoints(served: Served, filled_url: str) -> None:
    with stream(served) as response:
        lines = response.iter_lines()
        first: Any = json.loads(next(lines))
        with Client(served.url) as client:
            answers = [client.predict(f"later-{i}", {**PASSENGER, "Age": i % 90}) for i in range(200)]
        held_up = reads_in_progress(filled_url)
        rest = [json.loads(line)["id"] for line in lines]

    assert [answer.observation_id for answer in answers] == [f"later-{i}" for i in range(200)]
    assert not held_up
    assert rest == list(range(first["id"] - 1, 0, -1))


def test_a_stream_ends_when_its_reader_disconnects(served: Served) -> None:
    (worker,) = served.workers()
    served.session.close()
    until(lambda: not clients(worker))
    for _ in range(5):
        begin_and_leave(served)
    until(lambda: not clients(worker))

    assert served.post("/predict", prediction("after")).status_code == 200
    assert "event=error" not in served.log.read_text()
