"""A client that takes nothing of a response is dropped, one that reads slowly is not, and the connections that wait
longest make room for others."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from service.server import connections as module
from service.server.connections import Connections, bound_unsent
from tests.support.waiting import until

LONG = b"x" * 32 * 1024 * 1024


class Ends:
    """Connections between clients and a server, with a clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dropped: list[str] = []
        self.connections = Connections(self.dropped.append)
        self._listener = socket.create_server(("127.0.0.1", 0))
        bound_unsent(self._listener)
        self._sockets = [self._listener]
        self._senders: list[threading.Thread] = []
        self._now = 1000.0  # a sum and a difference of whole seconds are exact
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self._now))

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """The client's end and the server's end of a new connection."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(self._listener.getsockname())
        server, _ = self._listener.accept()
        self._sockets += [client, server]
        return client, server

    def send(self, server: socket.socket) -> None:
        """Sends a long response in a thread, and waits until the client's end takes no more."""

        def run() -> None:
            try:
                self.connections.send(server, LONG)
            except OSError as error:
                self.dropped.append(type(error).__name__)

        self._senders.append(threading.Thread(target=run, daemon=True))
        self._senders[-1].start()
        self.settle(server)

    def settle(self, server: socket.socket) -> None:
        taken = [-1]

        def is_still() -> bool:
            before, taken[0] = taken[0], module._tcp_bytes(server)[0]
            threading.Event().wait(0.05)
            return taken[0] == before > 0

        until(is_still)
        self.connections.look()

    def later(self, seconds: float) -> None:
        self._now += seconds
        self.connections.look()

    def close(self) -> None:
        for each in self._sockets:
            each.close()
        for sender in self._senders:
            sender.join(10)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    ends = Ends(monkeypatch)
    yield ends
    ends.close()


def test_a_client_that_takes_nothing_is_dropped_after_its_time(ends: Ends) -> None:
    _, server = ends.connect()
    ends.send(server)

    ends.later(19)
    ends.connections.drop_slow(20)
    assert ends.dropped == []
    ends.later(2)
    ends.connections.drop_slow(20)

    until(lambda: len(ends.dropped) == 2)
    assert sorted(ends.dropped) in (["BrokenPipeError", "slow-reader"], ["ConnectionResetError", "slow-reader"])


def test_a_client_that_reads_more_than_the_minimum_stays(ends: Ends) -> None:
    client, server = ends.connect()
    ends.send(server)

    for _ in range(8):
        for _ in range(40):
            client.recv(4096)
        ends.settle(server)
        ends.later(10)
        ends.connections.drop_slow(20)

    assert ends.dropped == []


def test_a_client_that_reads_less_than_the_minimum_is_dropped(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_BYTES_PER_SECOND", 1024 * 1024)
    client, server = ends.connect()
    ends.send(server)

    for _ in range(3):
        for _ in range(40):
            client.recv(4096)
        ends.settle(server)
        ends.later(10)
        ends.connections.drop_slow(20)

    assert "slow-reader" in ends.dropped


def test_idle_connections_make_room_before_readers_and_the_oldest_is_first(ends: Ends) -> None:
    reader = ends.connect()
    ends.send(reader[1])
    idle = []
    for _ in range(3):
        idle.append(ends.connect())
        ends.connections.wait(idle[-1][1])
        ends.later(1)
    ends.connections.end_wait(idle[0][1])
    ends.connections.wait(idle[0][1])
    ends.later(2)

    assert ends.connections.make_room(2) == 2
    assert [server.recv(1) for _, server in idle[1:]] == [b"", b""]
    assert ends.dropped == []
    assert ends.connections.make_room(9) == 2
    assert idle[0][1].recv(1) == b""
    until(lambda: "connection-limit" in ends.dropped)
    assert ends.connections.make_room(9) == 0


def test_a_connection_that_waits_for_less_than_a_second_makes_no_room(ends: Ends) -> None:
    _, server = ends.connect()
    ends.connections.wait(server)
    ends.later(0.9)

    assert ends.connections.make_room(1) == 0


def test_a_request_that_has_arrived_is_read_after_an_idle_connection_ends(ends: Ends) -> None:
    client, server = ends.connect()
    ends.connections.wait(server)
    client.sendall(b"request")
    until(lambda: module._tcp_bytes(server)[1] == 7)
    ends.later(95)

    ends.connections.end_idle(95)

    assert server.recv(100) == b"request"
    assert server.recv(100) == b""


def test_a_body_of_which_nothing_arrives_expires(ends: Ends) -> None:
    class Expiring:
        expired = 0

        def expire(self) -> None:
            self.expired += 1

    body, moving = Expiring(), Expiring()
    (_, stuck), (sender, server) = ends.connect(), ends.connect()
    ends.connections.expect(stuck, body)
    ends.connections.expect(server, moving)
    ends.later(0)
    for i in range(4):
        sender.sendall(b"x")
        until(lambda i=i: module._tcp_bytes(server)[1] == i + 1)  # type: ignore[misc] # a lambda with a default
        ends.later(1)
        ends.connections.drop_stuck(2, 3, "stop")

    assert (body.expired, moving.expired) == (1, 0)


def test_of_a_socket_that_tells_nothing_what_the_system_took_counts(ends: Ends) -> None:
    class Silent:
        def getsockopt(self, *_: object) -> bytes:
            raise OSError

        def send(self, data: bytes) -> int:
            ends.later(15)
            ends.connections.drop_slow(20)
            return min(100_000, len(data))

    client: Any = Silent()
    ends.connections.send(client, LONG[:1_000_000])

    assert ends.dropped == []
