"""Open-loop latency: requests are sent at moments fixed in advance, whether the answers to earlier ones are there or
not, and a latency counts from the moment that was fixed. A server that stalls is charged for all who wait meanwhile,
which a closed loop like wrk's leaves out (coordinated omission). Each answer must be that of its own id."""

import random
import select
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.loads.connection import Connection
from benchmarks.passengers import ID, WrongAnswer

_CONNECTIONS = 64
_GRACE_SECONDS = 10.0
_HEAD_START_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class OpenLoad:
    """Latencies in milliseconds from the moment that was fixed; `lag_p99_ms` is by how much requests were sent late,
    most of it because no connection was idle."""

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
    generator = _Generator(url, templates, first_id)
    generator.send_all(due)
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
        connections=_CONNECTIONS,
    )


class _Generator:
    """Sends on the connection that fell idle last, of those that it opened before it began; where none is idle a
    request waits, and its time runs. It is one loop around epoll, for what a generator takes of the machine is lost
    to the server."""

    def __init__(self, url: str, templates: Sequence[str], first_id: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        )
        self._parts = [template.partition(ID) for template in templates]
        self._first_id = first_id
        self._poll = select.epoll()
        self._open: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self.latencies: list[float] = []
        self.lags: list[float] = []
        self.faults: list[str] = []

    def send_all(self, due: Sequence[float]) -> None:
        """Sends each request at its moment and waits for the answers."""
        for _ in range(_CONNECTIONS):
            self._connect()
        start = time.perf_counter() + _HEAD_START_SECONDS
        end = start + due[-1] + _GRACE_SECONDS if due else start
        number = 0
        while len(self.latencies) + len(self.faults) < len(due) and time.perf_counter() < end:
            while number < len(due) and start + due[number] <= time.perf_counter():
                self._waiting.append((number, start + due[number]))
                number += 1
            self._send_waiting()
            self._receive(start + due[number] if number < len(due) else end)
        for connection in self._open.values():
            connection.socket.close()
        self._poll.close()

    def _receive(self, until: float) -> None:
        """Takes what has come in; waits for it until a moment at most."""
        # epoll itself sleeps in whole milliseconds, select in microseconds.
        select.select([self._poll], [], [], max(0.0, until - time.perf_counter()))
        for descriptor, _ in self._poll.poll(0):
            connection = self._open[descriptor]
            try:
                answered = connection.answered()
            except OSError as error:
                self._lose(connection, error)
                continue
            if answered is None:
                continue
            if isinstance(answered, str):
                self.faults.append(answered)
            else:
                self.latencies.append(answered)
            if connection.is_over:
                del self._open[descriptor]
                connection.socket.close()
                self._connect()
            else:
                self._idle.append(connection)

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            number, due = self._waiting.popleft()
            id_ = self._first_id + number
            before, mark, after = self._parts[number % len(self._parts)]
            body = f"{before}{id_}{after}" if mark else before
            connection = self._idle.pop()
            self.lags.append(time.perf_counter() - due)
            try:
                connection.ask(f"{self._head}{len(body)}\r\n\r\n{body}".encode(), id_, due)
            except OSError as error:
                self._lose(connection, error)

    def _connect(self) -> None:
        connection = Connection(self._host, self._port)
        self._open[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        self._idle.append(connection)

    def _lose(self, connection: Connection, error: OSError) -> None:
        """Forgets a connection that was closed; where it owed an answer, that is a fault."""
        if connection.is_waiting:
            self.faults.append(str(error))
        if connection in self._idle:
            self._idle.remove(connection)
        del self._open[connection.socket.fileno()]
        connection.socket.close()
