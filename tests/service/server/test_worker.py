"""The parts of the worker that need no socket."""

from service.server.worker import Worker


def test_a_worker_gives_up_its_excess_connections_and_no_more() -> None:
    worker = Worker.__new__(Worker)
    worker._excess = 2

    assert [worker._is_surplus() for _ in range(4)] == [True, True, False, False]
