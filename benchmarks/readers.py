"""Whether readers of a long log slow /predict: `python -m benchmarks.readers`. A SQLite log is filled, half of its rows
with labels. /predict is sent at half of its saturation rate, without readers and while 50 clients ask /performance,
/drift, /predictions and /metrics in turn."""

import itertools
import multiprocessing
import sqlite3
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import requests

from benchmarks import result
from benchmarks.contenders import Model, service
from benchmarks.growth import examples, fill
from benchmarks.loads import open_loop, wrk
from benchmarks.loads.open_loop import OpenLoad
from benchmarks.loads.wrk import first_id, require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.rounds import templates_for, warm_up
from benchmarks.servers import serve
from service.storage.connection import connect
from service.storage.migrate import prepare

_PATHS = ("/performance", "/drift", "/predictions", "/metrics")
_KEY = "the-key-of-the-administrator"
_CONNECTIONS = 64
_LABELLED = """
    UPDATE prediction SET true_class = CASE WHEN id % 10 = 0 THEN 'true' ELSE predicted_class END,
    labelled_at = created_at WHERE id % 2 = 0
"""
_processes = multiprocessing.get_context("spawn")


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows in the log.")
@click.option("--clients", default=50, show_default=True, help="Clients that read.")
@click.option("--seconds", default=30.0, show_default=True, help="How long each load lasts.")
def main(rows: int, clients: int, seconds: float) -> None:
    """Measure the latency of /predict with and without readers and write the result as JSON."""
    require_wrk()
    before = machine()
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        file = Path(folder) / "log.db"
        prepare(connect(f"sqlite:///{file}"))
        fill(file, rows, examples())
        with sqlite3.connect(file) as database:
            database.execute(_LABELLED)
        database.close()
        measured = _measured(file, clients, seconds)
    settings = {"rows": rows, "clients": clients, "seconds": seconds, "connections": _CONNECTIONS}
    found = {"machine": before, "versions": libraries({}), "settings": settings, **measured}
    click.echo(f"Wrote {result.write('readers', found).name}")


def _measured(file: Path, clients: int, seconds: float) -> dict[str, Any]:
    contender = service(Model(), lambda _: f"sqlite:///{file}", "service-sqlite", variables={"ADMIN_KEY": _KEY})
    with serve(contender) as server:
        templates = templates_for(server)
        warm_up(server, templates, _CONNECTIONS)
        saturated = wrk.run(server.url, templates, _CONNECTIONS, seconds, server.check).per_second
        bodies = templates.read_text().splitlines()
        origin = server.url.removesuffix(contender.path)
        for path in _PATHS:  # the first report reads the whole log
            _ask(requests.Session(), origin + path)
        without = open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())
        _say("without readers", without)
        with _reading(origin, clients) as answers:
            beside = open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())
        _say(f"with {clients} readers", beside)
    click.echo(f"the readers were answered: {answers}", err=True)
    return {"saturated": saturated, "without": asdict(without), "with": asdict(beside), "answers": answers}


@contextmanager
def _reading(origin: str, clients: int) -> Iterator[dict[str, int]]:
    """Lets the clients read, in a process of their own, until the block ends. The dictionary then holds how often each
    path was answered with each status."""
    stop, answers = _processes.Event(), _processes.Queue()
    process = _processes.Process(target=_read, args=(origin, clients, stop, answers))
    counted: dict[str, int] = {}
    process.start()
    answers.get()  # all paths were answered once
    try:
        yield counted
    finally:
        stop.set()
        counted.update(answers.get())
        process.join()


def _read(origin: str, clients: int, stop: Any, answers: Any) -> None:
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    began = threading.Barrier(clients + 1)

    def client(first: int) -> None:
        session = requests.Session()
        for number in itertools.count(first):
            path = _PATHS[number % len(_PATHS)]
            status = _ask(session, origin + path)
            with lock:
                counts[f"{path} {status}"] += 1
            if number == first:
                began.wait()
            if stop.is_set():
                return

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    began.wait()
    answers.put({})
    for thread in threads:
        thread.join()
    answers.put(dict(sorted(counts.items())))


def _ask(session: requests.Session, url: str) -> int:
    return session.get(url, headers={"Authorization": f"Bearer {_KEY}"}, timeout=120).status_code


def _say(what: str, found: OpenLoad) -> None:
    click.echo(
        f"{what}: {found.per_second:,.0f} requests/s, p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms", err=True
    )


if __name__ == "__main__":
    main()
