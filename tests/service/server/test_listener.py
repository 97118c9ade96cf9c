"""A worker accepts every connection in its queue, even while it stops."""

import socket
from collections.abc import Iterator

import gevent
import gevent.socket
import pytest
from gevent.pool import Pool

from service.server.listener import BalancedServer

CLIENTS = 40


class Counted:
    """A server that counts the connections it served."""

    def __init__(self) -> None:
        listener = gevent.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(2 * CLIENTS)
        self.served = 0
        self.pool = Pool(10 * CLIENTS)
        self.address = listener.getsockname()
        self.server = BalancedServer(listener, handle=self._handle, spawn=self.pool)
        self.server.max_accept = 1
        self.server.start()
        self.clients: list[socket.socket] = []

    def connect(self) -> None:
        """Connects the clients while the loop does not run, so that all of them are in the queue."""
        self.clients += [socket.create_connection(self.address) for _ in range(CLIENTS)]

    def _handle(self, client: socket.socket, address: object) -> None:
        self.served += 1


@pytest.fixture
def counted() -> Iterator[Counted]:
    counted = Counted()
    yield counted
    counted.server.stop(timeout=0)
    for client in counted.clients:
        client.close()


def test_all_connections_in_the_queue_are_accepted(counted: Counted) -> None:
    counted.connect()

    with gevent.Timeout(10):
        while counted.served < CLIENTS:
            gevent.sleep(0)


def test_connections_in_the_queue_at_close_are_served(counted: Counted) -> None:
    counted.connect()

    counted.server.close()
    counted.pool.join(timeout=60)

    assert counted.served == CLIENTS


def test_a_closed_server_can_be_closed_again(counted: Counted) -> None:
    counted.server.close()
    counted.server.close()

    assert counted.served == 0
