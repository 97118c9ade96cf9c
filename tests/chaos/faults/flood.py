"""More requests than the service can answer, sent at fixed times without waiting for earlier answers."""

import asyncio
import json
import time
from collections import Counter, deque
from typing import Any

from tests.chaos.sender import PASSENGERS, Acknowledged, Labelled, ObservationId

_CONNECTIONS = 3000
_GRACE_SECONDS = 25.0
_NO_REQUEST = -1
_PREDICTIONS_A_LABEL = 8
_BODIES = [json.dumps(values).encode() for values in PASSENGERS]


class Flood:
    """Sends predictions, and a label in eight requests, and counts the answers by status, 0 for no answer. `latencies`
    are the seconds of the 200s; `held_back` counts requests that were not sent because all connections were busy.
    `labelled` are the labels that were sent, or are due, in their order."""

    def __init__(self, port: int, name: str) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.sent = self.predictions = 0
        self.labelled: list[Labelled] = []
        self._due: deque[Labelled] = deque()
        self._corrected: set[ObservationId] = set()
        self._bodies: list[tuple[str, int, bytes]] = []
        self._port, self._name = port, name
        self._idle: list[_Line] = []
        self._lines: list[_Line] = []
        self._replacements: set[asyncio.Task[None]] = set()
        self.held_back = 0

    def acknowledged(self) -> list[Acknowledged]:
        """Every 200."""
        return [Acknowledged(id_, passenger, json.loads(body), False) for id_, passenger, body in self._bodies]

    def closed(self, connections: int, requests: int) -> float:
        """Sends a number of requests with all connections busy; returns the 200s per second."""
        began = time.perf_counter()
        asyncio.run(self._closed(connections, requests))
        return self.statuses[200] / (time.perf_counter() - began)

    def open(self, per_second: float, seconds: float) -> None:
        """Sends at a rate on idle connections, if there are any, and waits for the answers."""
        asyncio.run(self._open(per_second, seconds))

    def took(self, line: "_Line", number: int, seconds: float, status: int, body: bytes) -> None:
        """Records an answer."""
        if line.is_over:
            self._replacements.add(asyncio.get_running_loop().create_task(self._replace(line)))
        else:
            self._idle.append(line)
        if number == _NO_REQUEST:
            return
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(seconds)
        if line.labelled is not None:
            self._took_label(line.labelled, status, body)
        elif status == 200:
            id_ = f"{self._name}-{number}"
            self._bodies.append((id_, number % len(_BODIES), body))
            if number % _PREDICTIONS_A_LABEL == 0:
                self._schedule(Labelled(id_, number % 3 > 0))

    def _took_label(self, labelled: Labelled, status: int, body: bytes) -> None:
        """A refused label is due again. An acknowledged one is corrected once."""
        if status != 200:
            self._due.appendleft(labelled)
            return
        labelled.answer = json.loads(body)
        if labelled.id not in self._corrected:
            self._corrected.add(labelled.id)
            self._schedule(Labelled(labelled.id, not labelled.label))

    def _schedule(self, labelled: Labelled) -> None:
        self.labelled.append(labelled)
        self._due.append(labelled)

    def _ask(self, line: "_Line", number: int) -> None:
        self.sent += 1
        if self._due and number % _PREDICTIONS_A_LABEL == 1:
            self._ask_label(line, number, self._due.popleft())
            return
        self.predictions += 1
        body = b'{"id": "%s-%d", "observation": %s}' % (self._name.encode(), number, _BODIES[number % len(_BODIES)])
        line.ask(number, "/predict", body)

    def _ask_label(self, line: "_Line", number: int, labelled: Labelled) -> None:
        body = json.dumps({"id": labelled.id, "true_class": labelled.label})
        line.ask(number, "/update", body.encode(), labelled)

    async def _open(self, per_second: float, seconds: float) -> None:
        await self._connect(_CONNECTIONS)
        start = time.perf_counter()
        count = int(per_second * seconds)
        for number in range(count):
            ahead = start + number / per_second - time.perf_counter()
            if ahead > 0 or number % 16 == 0:
                await asyncio.sleep(max(0.0, ahead))
            if self._idle:
                self._ask(self._idle.pop(), number)
            else:
                self.held_back += 1
        await self._close()

    async def _closed(self, connections: int, requests: int) -> None:
        await self._connect(connections)
        for number in range(requests):
            while not self._idle:
                await asyncio.sleep(0.0005)
            self._ask(self._idle.pop(), number)
        await self._close()

    async def _connect(self, connections: int) -> None:
        """Opens connections, and waits until the service has accepted and answered each once."""
        for _ in range(connections):
            (await self._new_line()).ask(_NO_REQUEST, "/livez")
        while len(self._idle) < connections:
            await asyncio.sleep(0.001)

    async def _new_line(self) -> "_Line":
        _, line = await asyncio.get_running_loop().create_connection(lambda: _Line(self), "127.0.0.1", self._port)
        self._lines.append(line)
        return line

    async def _replace(self, line: "_Line") -> None:
        """Opens another connection for one that the service closes."""
        line.close()
        self._idle.append(await self._new_line())

    async def _close(self) -> None:
        """Waits for the missing answers and closes the connections."""
        end = time.perf_counter() + _GRACE_SECONDS
        while sum(self.statuses.values()) < self.sent and time.perf_counter() < end:
            await asyncio.sleep(0.01)
        self.statuses[0] += self.sent - sum(self.statuses.values())
        for line in self._lines:
            line.close()
        self._lines, self._idle = [], []
        await asyncio.sleep(0)


class _Line(asyncio.Protocol):
    """One persistent connection with one request at a time."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._transport: Any = None
        self._received = b""
        self._number, self._asked = 0, 0.0
        self.labelled: Labelled | None = None
        self.is_over = False  # the last answer said that the service closes the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, number: int, path: str, body: bytes = b"", labelled: Labelled | None = None) -> None:
        self._number, self._asked, self._received = number, time.perf_counter(), b""
        self.labelled = labelled
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._transport.write(head.encode() + b"\r\n" + body)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            seconds = time.perf_counter() - self._asked
            self.is_over = b"\r\nconnection: close" in head.lower()
            self._flood.took(self, self._number, seconds, int(head[9:12]), body)

    def close(self) -> None:
        self._transport.close()
