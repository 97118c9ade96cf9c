"""Clients that send requests and read no answers."""

import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.chaos.audits.labels import audit_log
from tests.chaos.faults.connections import is_served
from tests.chaos.outcome import Outcome, Scale, concluded
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage, until

ONE_WORKER = {"WEB_CONCURRENCY": "1", "REQUEST_TIMEOUT": "5"}

_READERS = 2050  # more connections than a worker takes
_LATE_READERS = 100
_REQUESTS = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 16
_SEGMENT_BYTES, _WINDOW_BYTES = 536, 2048  # small, so that few bytes wait in the buffers of the kernel
_SERVED_SECONDS = 30.0
_STOP_SECONDS = 5.0
_DRAIN_SECONDS = 30.0


def readers_are_slow(stage: Stage, scale: Scale) -> Outcome:
    """More connections than a worker takes send requests and read nothing. Kept connections go on, a new client is
    served, and the service stops in time while answers cannot be delivered."""
    with ExitStack() as late:
        with Recorder(stage.port) as recorder, _readers(stage.port, _READERS):
            began = time.monotonic()
            recovery = recorder.recovery(began)
            while not (is_new_served := is_served(stage.port)) and time.monotonic() < began + _SERVED_SECONDS:
                pass
            served = time.monotonic() - began
        late.enter_context(_readers(stage.port, _LATE_READERS))
        asked = time.monotonic()
        stage.served.process.terminate()
        try:
            stage.served.process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            stage.served.kill()
        stopped = time.monotonic() - asked
    found = audit_log(stage.database_url, recorder.acknowledged(), recorder.labelled())
    found.blame("a request without an answer", recorder.total("interrupted") + recorder.total("cut"))
    found.blame("a new client was not served", not is_new_served)
    found.blame("stopped late", stopped > _STOP_SECONDS)
    figures = {"served_seconds": served, "stopped_seconds": stopped}
    return concluded(f"{_READERS:,} clients that read nothing", stage, recorder, found, recovery, **figures)


@contextmanager
def _readers(port: int, count: int) -> Iterator[None]:
    """Connections that sent requests, until the block ends. At least a tenth of them have an answer that waits."""
    with ExitStack() as stack:
        readers = [stack.enter_context(_connected(port)) for _ in range(count)]
        for each in readers:
            each.sendall(_REQUESTS)
        poll = select.poll()
        for each in readers:
            poll.register(each, select.POLLIN)
        until(lambda: len(poll.poll(0)) >= count // 10)
        yield


def _connected(port: int) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)
    reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
    reader.settimeout(60)
    reader.connect(("127.0.0.1", port))
    return reader
