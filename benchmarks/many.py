"""Arrays: `python -m benchmarks.many`. How many rows a second the service scores and stores when they come a thousand
in a body, and what an array of ten thousand takes of a worker's memory."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
import requests

from benchmarks import result
from benchmarks.contenders import WORKERS, Model, service, sqlite_url
from benchmarks.loads import wrk
from benchmarks.loads.wrk import first_id, require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.passengers import ID, WrongAnswer, all_passengers, prediction
from benchmarks.servers import Server, serve

_ROWS = 1_000
_LARGE = 10_000
_BODIES = 20
_CONNECTIONS = (1, 2, 4)
_REPEATS = 5
_MEGABYTE = 1024 * 1024


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="How long each load lasts.")
def main(seconds: float) -> None:
    """Measure arrays and write the result as JSON."""
    require_wrk()
    before = machine()
    arrays = {}
    contender = replace(
        service(Model(), sqlite_url, "service-sqlite"),
        template=lambda observation: f"[{prediction(observation)}]",
        proba=lambda answer: float(answer[0]["proba"]),
    )
    with serve(contender) as server:
        large = _large(server)
        click.echo(f"An array of {_LARGE:,}: {large['above_idle_mb']:.0f} MB above idle", err=True)
    for connections in _CONNECTIONS:
        with serve(contender) as server:
            arrays[connections] = _rows_a_second(server, connections, seconds)
        click.echo(f"{connections} connections: {arrays[connections]['rows_per_second']:,.0f} rows/s", err=True)
    found = {
        "machine": before,
        "versions": libraries({}),
        "settings": {"seconds": seconds, "rows": _ROWS},
        "arrays": arrays,
        "large": large,
    }
    click.echo(f"Wrote {result.write('many', found).name}")


def _rows_a_second(server: Server, connections: int, seconds: float) -> dict[str, Any]:
    """The rows that were answered and are in the log. Raises WrongAnswer where the log holds fewer."""
    templates = server.folder / "arrays.txt"
    templates.write_text("".join(_array(_ROWS, start) + "\n" for start in range(_BODIES)))
    found = wrk.run(server.url, templates, connections, seconds, server.check)
    stored = _stored(server.folder / "log.db")
    if stored < found.requests * _ROWS:
        raise WrongAnswer(f"{found.requests * _ROWS} rows were answered and {stored} are stored")
    rows = found.per_second * _ROWS
    return {
        **asdict(found),
        "rows_per_second": rows,
        "rows_per_second_a_core": rows / min(connections, WORKERS),
        "stored": stored,
    }


def _large(server: Server) -> dict[str, Any]:
    """How far the largest worker rises above what it takes when idle, over several arrays that come one by one."""
    for _ in range(2 * WORKERS):
        server.check()
    workers = server.workers()
    idle = {worker.pid: worker.memory_info().rss for worker in workers}
    peak = dict(idle)

    def look() -> None:
        for worker in workers:
            peak[worker.pid] = max(peak[worker.pid], worker.memory_info().rss)

    with_peak = _Repeated(look)
    for _ in range(_REPEATS):
        _post(server, _array(_LARGE, 0))
    with_peak.stop()
    above = max(peak[pid] - idle[pid] for pid in idle)
    return {"rows": _LARGE, "above_idle_mb": above / _MEGABYTE, "idle_mb": max(idle.values()) / _MEGABYTE}


def _post(server: Server, template: str) -> None:
    first, pieces = first_id(), template.split(ID)
    body = "".join(piece + str(first + i) for i, piece in enumerate(pieces[:-1])) + pieces[-1]
    answer = requests.post(server.url, data=body, headers={"Content-Type": "application/json"}, timeout=60)
    if answer.status_code != 200 or len(answer.json()) != len(pieces) - 1:
        raise WrongAnswer(f"an array of {len(pieces) - 1} was answered {answer.status_code}")


def _array(rows: int, start: int) -> str:
    """A template of an array of passengers, beginning with another one for every start."""
    return f"[{', '.join(map(prediction, islice(cycle(all_passengers()), start * 7, start * 7 + rows)))}]"


def _stored(file: Path) -> int:
    with sqlite3.connect(file) as database:
        rows = int(database.execute("SELECT count(*) FROM prediction").fetchone()[0])
    database.close()
    return rows


class _Repeated:
    """Does something every few milliseconds beside the main thread, until it is stopped."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Ends it and waits for the end."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(0.005):
            self._work()


if __name__ == "__main__":
    main()
