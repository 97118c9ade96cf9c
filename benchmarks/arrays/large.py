"""What arrays of ten thousand take of the one worker of a service: memory, and the time for which they hold its event
loop, so that it answers no other request."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from benchmarks.arrays.contenders import on_sqlite
from benchmarks.arrays.rounds import Shape, load
from benchmarks.health import Health, summed
from benchmarks.passengers import WrongAnswer
from benchmarks.servers import serve

_ITEMS = 10_000
_ARRAYS = 2
_LOOK_SECONDS = 0.005
_ASK_SECONDS = 0.002
_MEGABYTE = 1024 * 1024


def large(seconds: float) -> dict[str, Any]:
    """The megabytes above an idle worker, and the latency of /livez, while arrays come one after the other for the
    seconds, once for each. Raises NotStarted and WrongAnswer."""
    contender = on_sqlite(WEB_CONCURRENCY="1")
    shape = Shape(_ITEMS, 1)
    with serve(contender.server) as server:
        contender.write_arrays(server.folder / f"{_ITEMS}.txt", _ITEMS, _ARRAYS)
        server.check()
        (worker,) = server.workers()
        idle = worker.memory_info().rss
        memory: list[int] = []
        with _repeatedly(lambda: memory.append(worker.memory_info().rss), _LOOK_SECONDS):
            load(contender, server, shape, seconds)
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
        taken: list[float] = []
        with _repeatedly(lambda: taken.append(_livez(connection)), _ASK_SECONDS):
            load(contender, server, shape, seconds)
        connection.close()
    return {
        "items": _ITEMS,
        "idle_mb": idle / _MEGABYTE,
        "above_idle_mb": (max(memory) - idle) / _MEGABYTE,
        "livez": asdict(of_moments(taken)),
    }


def of_moments(taken: list[float], every: float = _ASK_SECONDS) -> Health:
    """The latencies of requests that were sent one after the other, in seconds, as if one had been sent every `every`
    seconds: those that would have been sent while one waits end with it."""
    return summed([latency - passed * every for latency in taken for passed in range(int(latency / every) + 1)])


@contextmanager
def _repeatedly(work: Callable[[], None], pause: float) -> Iterator[None]:
    """Does something again and again in a thread until the block ends, and raises what it raised."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(pause):
            work()

    with ThreadPoolExecutor(max_workers=1) as pool:
        ran = pool.submit(run)
        try:
            yield
        finally:
            done.set()
        ran.result()


def _livez(connection: http.client.HTTPConnection) -> float:
    start = time.perf_counter()
    connection.request("GET", "/livez")
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise WrongAnswer(f"/livez: the status is {answer.status}")
    return time.perf_counter() - start
