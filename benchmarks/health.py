"""Whether a server still says that it lives while it is loaded to the full."""

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.loads import wrk
from benchmarks.loads.open_loop import quantile
from benchmarks.passengers import WrongAnswer
from benchmarks.servers import Server

_EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Health:
    """How long /livez took to answer, in milliseconds."""

    probes: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


def while_loaded(server: Server, templates: Path, connections: int, seconds: float) -> Health:
    """Asks /livez again and again while wrk loads the server, on a new connection each time. Raises WrongAnswer
    where it is not answered 200."""
    done = threading.Event()
    taken: list[float] = []
    faults: list[str] = []

    def probe() -> None:
        while not done.wait(_EVERY_SECONDS):
            try:
                taken.append(_livez(server.url))
            except (OSError, http.client.HTTPException, WrongAnswer) as error:
                faults.append(f"/livez: {error}")

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        wrk.run(server.url, templates, connections, seconds, server.check)
    finally:
        done.set()
        prober.join()
    if faults or not taken:
        raise WrongAnswer(faults[0] if faults else "/livez was not asked")
    return summed(taken)


def summed(taken: Sequence[float]) -> Health:
    """The latencies of one or more requests, in seconds."""
    ordered = sorted(taken)
    return Health(len(ordered), quantile(ordered, 0.5) * 1e3, quantile(ordered, 0.99) * 1e3, ordered[-1] * 1e3)


def _livez(url: str) -> float:
    start = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise WrongAnswer(f"the status is {status}")
    return time.perf_counter() - start
