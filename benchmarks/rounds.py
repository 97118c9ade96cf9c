"""Rounds: every contender in turn, started anew each time, at each number of connections. What changes on the machine
meanwhile so meets all of them alike; the median of the rounds counts."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.loads import wrk
from benchmarks.loads.wrk import Load
from benchmarks.passengers import WrongAnswer, all_passengers, write_templates
from benchmarks.servers import NotStarted, Server, serve

_WARM_UP_SECONDS = 1.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Measured:
    """What was measured of one contender, round by round: loads by the number of connections, seconds from the start
    to the first right answer, and megabytes afterwards, of a worker and of all processes. `failure` is why it was
    given up, if it was."""

    loads: dict[int, list[Load]] = field(default_factory=dict)
    start_seconds: list[float] = field(default_factory=list)
    worker_mb: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    failure: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The medians, and all that they were taken from."""
        return {
            "median": {str(connections): _median_load(loads) for connections, loads in self.loads.items()},
            "start_seconds": _median(self.start_seconds),
            "worker_mb": _median(self.worker_mb),
            "memory_mb": _median(self.memory_mb),
            "failure": self.failure,
            "rounds": {str(connections): [asdict(one) for one in loads] for connections, loads in self.loads.items()},
        }

    def saturation(self) -> float:
        """The most answers a second that a number of connections got, at the median of the rounds."""
        return max(statistics.median(one.per_second for one in loads) for loads in self.loads.values())


def measure(
    contenders: Sequence[Contender], connections: Sequence[int], seconds: float, rounds: int, say: Say
) -> dict[str, Measured]:
    """Measures the contenders by name. One that does not start or answers wrong is given up, and the others go on."""
    measured = {contender.name: Measured() for contender in contenders}
    for number in range(1, rounds + 1):
        say(f"Round {number} of {rounds}")
        for contender in contenders:
            found = measured[contender.name]
            if found.failure is not None:
                continue
            try:
                _round(contender, found, connections, seconds, say)
            except (NotStarted, WrongAnswer) as error:
                found.failure = str(error)
                say(f"{contender.name} is given up: {error}")
    return measured


def templates_for(server: Server) -> Path:
    """The file of the bodies to send: all passengers, in the form that the contender takes."""
    path = server.folder / "templates.txt"
    write_templates(path, server.contender.template, all_passengers())
    return path


def warm_up(server: Server, templates: Path, connections: int) -> None:
    """A short load that is not counted."""
    wrk.run(server.url, templates, connections, _WARM_UP_SECONDS, server.check, server.contender.traceparent)


def _round(contender: Contender, found: Measured, connections: Sequence[int], seconds: float, say: Say) -> None:
    with serve(contender) as server:
        found.start_seconds.append(server.start_seconds)
        templates = templates_for(server)
        warm_up(server, templates, max(connections))
        for number in connections:
            one = wrk.run(server.url, templates, number, seconds, server.check, contender.traceparent)
            found.loads.setdefault(number, []).append(one)
            say(f"{contender.name}, {number} connections: {one.per_second:,.0f} requests/s, p99 {one.p99_ms:.1f} ms")
        found.worker_mb.append(server.worker_mb())
        found.memory_mb.append(server.memory_mb())


def _median_load(loads: Sequence[Load]) -> dict[str, float]:
    names = ("per_second", "p50_ms", "p99_ms", "p999_ms", "socket_errors")
    return {name: statistics.median(getattr(one, name) for one in loads) for name in names}


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
