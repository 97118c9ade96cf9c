"""Open-loop latency: requests are sent at moments fixed in advance, whether the answers to earlier ones are there or
not, and a latency counts from the moment that was fixed. A server that stalls is charged for all who wait meanwhile,
which a closed loop like wrk's leaves out (coordinated omission). Each answer must be that of its own id."""

import asyncio
import random
import selectors
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.connection import Connection
from benchmarks.passengers import ID, WrongAnswer

_MOST_CONNECTIONS = 512
_GRACE_SECONDS = 10.0
_HEAD_START_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class OpenLoad:
    """Latencies in milliseconds from the moment that was fixed; `lag_p99_ms` is the generator's own part of it, by
    which it sent late."""

    per_second: float
    requests: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float
    lag_p99_ms: float
    connections: int


def moments(per_second: float, seconds: float, seed: int = 0) -> list[float]:
    """When to send, in seconds from the start: independent arrivals at the rate (a Poisson process), as from many
    clients that do not know of each other."""
    gaps = random.Random(seed)
    found, moment = [], gaps.expovariate(per_second)
    while moment < seconds:
        found.append(moment)
        moment += gaps.expovariate(per_second)
    return found


def run(url: str, templates: Sequence[str], per_second: float, seconds: float, first_id: int) -> OpenLoad:
    """Sends the templates in turn at the rate for the seconds. Raises WrongAnswer where an answer is missing, is not
    2xx or is another id's."""
    due = moments(per_second, seconds)

    def loop() -> asyncio.AbstractEventLoop:
        # epoll sleeps in whole milliseconds, select in microseconds.
        return asyncio.SelectorEventLoop(selectors.SelectSelector())

    with asyncio.Runner(loop_factory=loop) as runner:
        generator = _Generator(url, templates, first_id)
        runner.run(generator.send_all(due))
    return _summed(generator, due, per_second)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share of the ordered values do not exceed."""
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def _summed(generator: "_Generator", due: Sequence[float], per_second: float) -> OpenLoad:
    if generator.faults or len(generator.latencies) < len(due):
        first = generator.faults[0] if generator.faults else "no answer came"
        raise WrongAnswer(f"{len(due) - len(generator.latencies)} of {len(due)} requests failed; the first: {first}")
    latencies, lags = sorted(generator.latencies), sorted(generator.lags)
    return OpenLoad(
        per_second=per_second,
        requests=len(latencies),
        p50_ms=quantile(latencies, 0.5) * 1e3,
        p99_ms=quantile(latencies, 0.99) * 1e3,
        p999_ms=quantile(latencies, 0.999) * 1e3,
        worst_ms=latencies[-1] * 1e3,
        lag_p99_ms=quantile(lags, 0.99) * 1e3,
        connections=generator.most,
    )


class _Generator:
    """Sends on the connection that fell idle last, opens another where none is idle, and keeps the rest waiting once
    there are _MOST_CONNECTIONS; their time runs."""

    def __init__(self, url: str, templates: Sequence[str], first_id: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        )
        self._parts = [template.partition(ID) for template in templates]
        self._first_id = first_id
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._open = 0
        self.most = 0
        self.latencies: list[float] = []
        self.lags: list[float] = []
        self.faults: list[str] = []

    async def send_all(self, due: Sequence[float]) -> None:
        """Sends each request at its moment and waits for the answers."""
        start = time.perf_counter() + _HEAD_START_SECONDS
        for number, moment in enumerate(due):
            await asyncio.sleep(max(0.0, start + moment - time.perf_counter()))
            self._send(number, start + moment)
        end = time.perf_counter() + _GRACE_SECONDS
        while len(self.latencies) + len(self.faults) < len(due) and time.perf_counter() < end:
            await asyncio.sleep(0.01)
        for connection in tuple(self._idle):
            connection.close()
        await asyncio.sleep(0)

    def answered(self, connection: Connection, latency: float) -> None:
        """Counts an answer and sends what waits."""
        self.latencies.append(latency)
        self._free(connection)

    def failed(self, connection: Connection, fault: str) -> None:
        """Keeps the fault and sends what waits."""
        self.faults.append(fault)
        self._free(connection)

    def lost(self, connection: Connection, fault: str | None) -> None:
        """Forgets a connection that was closed."""
        self._open -= 1
        if fault is not None:
            self.faults.append(fault)
        if connection in self._idle:
            self._idle.remove(connection)

    def _send(self, number: int, due: float) -> None:
        if self._idle:
            self._request(self._idle.pop(), number, due)
            return
        self._waiting.append((number, due))
        if self._open < _MOST_CONNECTIONS:
            self._open += 1
            self.most = max(self.most, self._open)
            opening = asyncio.create_task(self._connect())
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), self._host, self._port)
        except OSError as error:
            self._open -= 1
            self.faults.append(str(error))
            return
        self._free(connection)

    def _free(self, connection: Connection) -> None:
        if self._waiting:
            self._request(connection, *self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _request(self, connection: Connection, number: int, due: float) -> None:
        id_ = self._first_id + number
        before, mark, after = self._parts[number % len(self._parts)]
        body = f"{before}{id_}{after}" if mark else before
        self.lags.append(time.perf_counter() - due)
        connection.ask(f"{self._head}{len(body)}\r\n\r\n{body}".encode(), id_, due)
