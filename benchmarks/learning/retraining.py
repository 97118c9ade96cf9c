"""Whether a retraining slows /predict: `python -m benchmarks.learning.retraining`. A log gets labelled rows of a
changed world. /predict is sent at half of its saturation rate, in turn without a retraining, with the command that
retrains, and with a job that does. The retraining begins and ends within the load, or goes on when it ends."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import requests

from benchmarks import result
from benchmarks.contenders import Model, service
from benchmarks.loads import open_loop, wrk
from benchmarks.loads.wrk import first_id, require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.passengers import DATA, PROJECT, TARGET, all_passengers
from benchmarks.rounds import templates_for, warm_up
from benchmarks.servers import serve
from service.settings import set_native_defaults

_CONNECTIONS = 64
_AT_ONCE = 1000
_DELAY_SECONDS = 2.0  # from the start of a load to the start of a retraining
_KEY = "the-key-that-signs-the-models-of-this-run"
_ADMIN_KEY = "the-admin-key-of-this-run"


@click.command()
@click.option("--rows", default=20_000, show_default=True, help="Labelled rows in the log.")
@click.option("--rounds", default=5, show_default=True, help="How often each load is measured.")
@click.option("--seconds", default=40.0, show_default=True, help="How long each load lasts.")
def main(rows: int, rounds: int, seconds: float) -> None:
    """Measure the latency of /predict with and without a retraining beside it and write the result as JSON."""
    require_wrk()
    set_native_defaults()
    before = machine()
    with tempfile.TemporaryDirectory(prefix="retraining-") as folder:
        measured = _measured(f"sqlite:///{Path(folder) / 'log.db'}", rows, rounds, seconds)
    settings = {"rows": rows, "rounds": rounds, "seconds": seconds, "connections": _CONNECTIONS}
    found = {"machine": before, "versions": libraries({}), "settings": settings, **measured}
    click.echo(f"Wrote {result.write('retraining', found).name}")


def _measured(database_url: str, rows: int, rounds: int, seconds: float) -> dict[str, Any]:
    variables = {"MODEL_SIGNING_KEY": _KEY, "ADMIN_KEY": _ADMIN_KEY}
    contender = service(Model(), lambda _: database_url, "service-sqlite", variables=variables)
    with serve(contender) as server, running(contender.variables(PROJECT), "worker") as worker:
        origin = server.url.removesuffix(contender.path)
        templates = templates_for(server)
        warm_up(server, templates, _CONNECTIONS)
        saturated = wrk.run(server.url, templates, _CONNECTIONS, 20.0, server.check).per_second
        _fill(origin, rows)
        bodies = templates.read_text().splitlines()
        beside: dict[str, Callable[[], Any]] = {
            "without": nullcontext,
            "command": partial(running, contender.variables(PROJECT), "retrain", "--dry-run", delay=_DELAY_SECONDS),
            "job": partial(_job, origin),
        }
        loads: dict[str, list[Any]] = {name: [] for name in beside}
        for _ in range(rounds):
            for name, begun in beside.items():
                with begun():
                    load = open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())
                loads[name].append(asdict(load))
        if worker.poll() is not None:
            raise RuntimeError("the worker has ended")
    p99 = {name: statistics.median(each["p99_ms"] for each in found) for name, found in loads.items()}
    ratios = {name: p99[name] / p99["without"] for name in ("command", "job")}
    for name, ratio in ratios.items():
        click.echo(f"p99 {p99['without']:.1f} ms without and {p99[name]:.1f} ms with a {name}: {ratio:.2f}", err=True)
    return {"saturated": saturated, **loads, "p99_ms": p99, "ratios": ratios}


def _fill(origin: str, rows: int) -> None:
    """Asks for predictions of passengers whose sex was swapped, each with a fare of its own, and labels them."""
    passengers, outcomes = all_passengers(), pd.read_csv(DATA)[TARGET].astype(bool).tolist()
    chosen = np.random.default_rng(0)
    with requests.Session() as session:
        for start in range(0, rows, _AT_ONCE):
            places = chosen.integers(0, len(passengers), min(_AT_ONCE, rows - start)).tolist()
            items = [
                {"id": f"row-{id_}", "observation": {**_swapped(passengers[place]), "Fare": id_ / 100}}
                for id_, place in enumerate(places, start)
            ]
            labels = [{"id": f"row-{id_}", "true_class": outcomes[place]} for id_, place in enumerate(places, start)]
            for path, body in (("/predict", items), ("/update", labels)):
                session.post(origin + path, json=body, timeout=60).raise_for_status()


def _swapped(passenger: dict[str, Any]) -> dict[str, Any]:
    return {**passenger, "Sex": "male" if passenger["Sex"] == "female" else "female"}


@contextmanager
def running(variables: Mapping[str, str], *arguments: str, delay: float = 0.0) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a command of the service, from so many seconds on, in a session of its own, until the block ends."""
    command = [
        "sh",
        "-c",
        'sleep "$1"; shift; exec "$@"',
        "sh",
        str(delay),
        sys.executable,
        "-m",
        "service",
        *arguments,
    ]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **variables}
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _job(origin: str) -> Iterator[None]:
    """Queues a retraining, which a worker takes within a second or two, and cancels it when the block ends."""
    headers = {"Authorization": f"Bearer {_ADMIN_KEY}"}
    queued = requests.post(f"{origin}/admin/retrain", json={}, headers=headers, timeout=20)
    queued.raise_for_status()
    try:
        yield
    finally:
        requests.delete(origin + queued.headers["Location"], headers=headers, timeout=20).raise_for_status()


if __name__ == "__main__":
    main()
