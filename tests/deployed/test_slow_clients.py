"""Clients that read or send nothing, too many connections and missing descriptors stop neither honest clients nor a
stop of the service."""

import contextlib
import os
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from service.storage.connection import connect
from service.storage.migrate import prepare
from tests.chaos.stage import allow_many_connections
from tests.deployed.test_served import accepted
from tests.support.filled import fill
from tests.support.served import Served, serve
from tests.support.waiting import until
from tests.support.wire import POST, answer, connected, exchange

pytestmark = pytest.mark.long  # most wait for a time limit of a real server

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"
OPENAPI = b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n"
KEY = "the-key-of-an-admin"
ROWS = 20_000


def url_in(folder: Path) -> str:
    return f"sqlite:///{folder}/log.db"


def limited(descriptors: int) -> tuple[str, ...]:
    """The command of a service that may have so many descriptors in each process."""
    return ("sh", "-c", f"ulimit -n {descriptors}; exec gunicorn app:app")


@contextlib.contextmanager
def non_readers(served: Served, number: int) -> Iterator[list[socket.socket]]:
    """Connections that ask for more than the system holds for them, and read nothing."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(number):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.port))
            client.sendall(OPENAPI * 20)
            clients.append(client)
        yield clients


def ask(served: Served, seconds: float) -> int:
    """The status of a request on a new connection."""
    with requests.get(served.url + "/livez", timeout=seconds) as response:
        return response.status_code


def seconds_to_stop(served: Served) -> float:
    served.process.terminate()
    began = time.monotonic()
    served.process.wait(60)
    return time.monotonic() - began


def dropped(served: Served, reason: str) -> int:
    return served.log.read_text().count(f"event=dropped reason={reason}")


def test_a_client_that_reads_nothing_is_dropped_and_counted(tmp_path: Path) -> None:
    short = {"REQUEST_TIMEOUT": "0.5"}
    with serve(tmp_path, url_in(tmp_path), variables=short) as served, non_readers(served, 3) as clients:
        until(lambda: dropped(served, "slow-reader") == 3)
        metrics = served.session.get(served.url + "/metrics", timeout=20).text
        with pytest.raises(ConnectionResetError):
            clients[0].sendall(b"".join([LIVEZ] * 100_000))

    assert 'refused_requests_total{reason="slow-reader"} 3.0' in metrics
    assert "event=error" not in served.log.read_text()


@pytest.mark.alone
def test_clients_that_read_nothing_do_not_delay_a_stop(tmp_path: Path) -> None:
    one = {"WEB_CONCURRENCY": "1"}
    with serve(tmp_path, url_in(tmp_path), variables=one) as served, non_readers(served, 30):
        # Each is answered while all others get their turn, so afterwards none of them can take another response.
        assert [ask(served, 60) for _ in range(25)] == [200] * 25
        assert seconds_to_stop(served) < 10

    assert dropped(served, "stop") == 30


@pytest.mark.alone
def test_a_body_that_does_not_arrive_is_answered_when_the_service_stops(tmp_path: Path) -> None:
    with serve(tmp_path, url_in(tmp_path)) as served, connected(served) as connection:
        connection.sendall(POST + b"Content-Length: 10\r\n\r\n{")
        assert ask(served, 20) == 200
        stopped = seconds_to_stop(served)
        answered = answer(connection)

    assert answered.status == 408
    assert stopped < 15


def test_idle_connections_make_room_for_new_ones(tmp_path: Path) -> None:
    one = {"WEB_CONCURRENCY": "1"}
    with (
        serve(
            tmp_path, url_in(tmp_path), command=limited(104), variables=one
        ) as served,  # 40 connections and a reserve
        contextlib.ExitStack() as stack,
    ):
        silent = [stack.enter_context(connected(served)) for _ in range(30)]
        for client in silent[:15]:
            client.sendall(LIVEZ)
        newer = [stack.enter_context(connected(served)) for _ in range(30)]
        for client in newer:
            client.sendall(b"GET /livez HTTP/1.1\r\n")
        statuses = [ask(served, 20) for _ in range(20)]

    assert statuses == [200] * 20
    assert "event=error" not in served.log.read_text()


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_an_honest_client_is_answered_beside_two_thousand_that_read_nothing(tmp_path: Path) -> None:
    allow_many_connections()
    one = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "warning"}
    with serve(tmp_path, url_in(tmp_path), variables=one) as served, non_readers(served, 2050):
        (worker,) = served.workers()
        began = time.monotonic()
        assert ask(served, 120) == 200
        waited = time.monotonic() - began
        assert served.workers() == [worker]
        stopped = seconds_to_stop(served)

    assert waited < 60  # most of it is the work for what the others asked for, about 5 s of one core
    assert stopped < 10


@pytest.mark.alone
def test_a_client_that_reads_slowly_gets_its_whole_stream(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    prepare(connect(url))
    fill(url, ROWS)
    head = f"GET /predictions HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nAccept: application/x-ndjson\r\n".encode()
    settings = {"ADMIN_KEY": KEY, "WEB_CONCURRENCY": "1", "REQUEST_TIMEOUT": "3"}
    with serve(tmp_path, url, variables=settings) as served, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", served.port))
        client.sendall(head + b"Connection: close\r\n\r\n")
        slowly = []
        for _ in range(80):  # for 8 seconds
            slowly.append(client.recv(1000))
            time.sleep(0.1)
        got = b"".join([*slowly, *iter(lambda: client.recv(65536), b"")])

    assert got.count(b'"observation_id"') == ROWS
    assert got.endswith(b"0\r\n\r\n")


def test_a_worker_without_descriptors_refuses_new_connections_and_recovers_at_once(tmp_path: Path) -> None:
    with serve(tmp_path, url_in(tmp_path), variables={"WEB_CONCURRENCY": "1"}) as served, connected(served) as honest:
        (worker,) = served.workers()
        honest.sendall(LIVEZ)
        assert answer(honest).status == 200
        _, hard = worker.rlimit(resource.RLIMIT_NOFILE)
        until(lambda: accepted(worker) == 1)  # the connections that waited for the start are closed
        used = {int(number) for number in os.listdir(f"/proc/{worker.pid}/fd")}
        worker.rlimit(resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), hard))
        statuses: Counter[int] = Counter()
        for path in (b"/readyz", b"/metrics", b"/openapi.json", b"/performance", b"/livez"):
            honest.sendall(LIVEZ.replace(b"/livez", path))
            statuses[answer(honest).status] += 1
        refused = [exchange(served, LIVEZ) for _ in range(100)]
        honest.sendall(LIVEZ)
        still = answer(honest).status
        worker.rlimit(resource.RLIMIT_NOFILE, (hard, hard))
        recovered = exchange(served, LIVEZ).status
        until(lambda: "event=no-descriptors" in served.log.read_text())

    log = served.log.read_text()
    assert set(statuses) == {200, 503}
    assert {one.status for one in refused} == {503}
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json["status"] == 503
    assert (still, recovered) == (200, 200)
    assert log.count("event=no-descriptors") < 10
    assert "Traceback" not in log
    assert "event=error" not in log


@pytest.mark.alone  # which of two workers accepts first depends on who gets a core
def test_keep_alive_connections_move_to_a_worker_that_was_absent(tmp_path: Path) -> None:
    with serve(tmp_path, url_in(tmp_path)) as served, contextlib.ExitStack() as stack:
        until(lambda: len(served.workers()) == 2)
        first, second = served.workers()
        second.suspend()
        sessions = [stack.enter_context(requests.Session()) for _ in range(40)]

        def ask_all() -> None:
            for session in sessions:
                assert session.get(served.url + "/livez", timeout=20).status_code == 200

        ask_all()
        assert (accepted(first), accepted(second)) == (40, 0)
        second.resume()

        def are_spread() -> bool:
            ask_all()
            return min(accepted(first), accepted(second)) >= 11  # with 29 of 40 the other has no excess any more

        until(are_spread)


def test_connections_that_are_spread_stay_where_they_are(tmp_path: Path) -> None:
    with serve(tmp_path, url_in(tmp_path)) as served, contextlib.ExitStack() as stack:
        until(lambda: len(served.workers()) == 2)
        sessions = [stack.enter_context(requests.Session()) for _ in range(16)]

        def ports(worker: psutil.Process) -> set[int]:
            return {one.raddr.port for one in worker.net_connections("tcp") if one.raddr}

        def ask_all() -> list[set[int]]:
            for session in sessions:
                session.get(served.url + "/livez", timeout=20)
            return [ports(worker) for worker in served.workers()]

        def stay() -> bool:
            before, end = ask_all(), time.monotonic() + 2
            while time.monotonic() < end:
                if ask_all() != before:
                    return False
            return True

        until(lambda: min(map(len, ask_all())) >= 2)
        until(stay)
