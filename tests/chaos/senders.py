"""Bad senders: they disconnect early, send slowly, send nothing, or send everything twice."""

import json
import socket
import struct
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.chaos.outcome import Outcome, Scale, recorded
from tests.chaos.recorder import SENDERS, Recorder
from tests.chaos.sender import PASSENGERS, Sender
from tests.chaos.stage import Stage

_LEAVING = 120
_IDLE = 1000
_SECONDS = 2.0
_LIMIT_SECONDS = 2.0


def senders_leave(stage: Stage, scale: Scale) -> Outcome:
    """Senders disconnect in the middle of the body or before the answer. Each request is sent again and stored once."""

    def fault(recorder: Recorder) -> float:
        for i in range(_LEAVING):
            _leave(stage.port, _request(f"left-{i}", i), whole=i % 3 > 0, reset=i % 2 > 0)
        sender = Sender(stage.port, recorder.aside)
        for i in range(_LEAVING):
            assert sender.is_acknowledged(f"left-{i}", i)
        sender.close()
        return recorder.recovery(time.monotonic())

    return recorded(f"{_LEAVING} senders that leave before the answer", stage, fault)


def senders_are_slow(stage: Stage, scale: Scale) -> Outcome:
    """Fifty senders send one byte per second. They delay nobody, and all get their answers."""

    def fault(recorder: Recorder) -> float:
        with _Slow(stage.port) as slow:
            time.sleep(_SECONDS)
            held_up = _slowest(recorder, _SECONDS)
            slow.finish()
        assert slow.statuses == [200] * SENDERS, slow.statuses
        assert held_up < _LIMIT_SECONDS, f"others waited {held_up:.1f} s"
        return held_up

    return recorded(f"{SENDERS} senders of a byte a second", stage, fault, exact=True)


def connections_are_idle(stage: Stage, scale: Scale) -> Outcome:
    """A thousand connections send nothing."""

    def fault(recorder: Recorder) -> float:
        with ExitStack() as idle:
            for _ in range(_IDLE):
                idle.enter_context(socket.create_connection(("127.0.0.1", stage.port), timeout=10))
            held_up = _slowest(recorder, _SECONDS)
        assert held_up < _LIMIT_SECONDS, f"others waited {held_up:.1f} s"
        return held_up

    return recorded(f"{_IDLE:,} idle connections", stage, fault, exact=True)


def senders_repeat(stage: Stage, scale: Scale) -> Outcome:
    """Two senders send every request at the same time, and again later."""

    def fault(recorder: Recorder) -> float:
        time.sleep(_SECONDS)
        return recorder.recovery(time.monotonic())

    return recorded("every request sent four times", stage, fault, exact=True, retries=True)


def _slowest(recorder: Recorder, seconds: float) -> float:
    """The longest time to an answer of all recording senders, within a number of seconds."""
    for journal in recorder.journals:
        journal.slowest = 0.0
    time.sleep(seconds)
    recorder.recovery(time.monotonic())
    return max(journal.slowest for journal in recorder.journals)


def _request(id_: str, passenger: int) -> bytes:
    body = json.dumps({"id": id_, "observation": PASSENGERS[passenger]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _leave(port: int, request: bytes, *, whole: bool, reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request if whole else request[:-30])
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class _Slow:
    """Fifty connections, each of which sends one byte per second of its own request until `finish`."""

    def __init__(self, port: int) -> None:
        self._requests = [_request(f"slow-{i}", i) for i in range(SENDERS)]
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(SENDERS)]
        self._done = threading.Event()
        self._sent = 0
        self._thread = threading.Thread(target=self._dribble, daemon=True)
        self.statuses: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def finish(self) -> None:
        """Sends the rest and reads the answers."""
        self._done.set()
        self._thread.join()
        for each, request in zip(self._sockets, self._requests, strict=True):
            each.sendall(request[self._sent :])
        for each in self._sockets:
            self.statuses.append(int(each.recv(65536).split(b" ", 2)[1]))

    def _dribble(self) -> None:
        while not self._done.wait(1.0 if self._sent else 0.0):
            for each, request in zip(self._sockets, self._requests, strict=True):
                each.sendall(request[self._sent : self._sent + 1])
            self._sent += 1
