"""Whether a retraining slows /predict: `python -m benchmarks.learning.retraining`. A log gets labelled rows of a
changed world. /predict is sent at half of its saturation rate, in turn without and with a retraining that runs again
and again."""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
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
_IMPORT_SECONDS = 4.0  # until a retraining reads and fits
_KEY = "the-key-that-signs-the-models-of-this-run"


@click.command()
@click.option("--rows", default=20_000, show_default=True, help="Labelled rows in the log.")
@click.option("--rounds", default=5, show_default=True, help="How often both loads are measured.")
@click.option("--seconds", default=20.0, show_default=True, help="How long each load lasts.")
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
    variables = {"MODEL_SIGNING_KEY": _KEY}
    contender = service(Model(), lambda _: database_url, "service-sqlite", variables=variables)
    loads: dict[str, list[Any]] = {"without": [], "with": []}
    with serve(contender) as server:
        templates = templates_for(server)
        warm_up(server, templates, _CONNECTIONS)
        saturated = wrk.run(server.url, templates, _CONNECTIONS, seconds, server.check).per_second
        _fill(server.url.removesuffix(contender.path), rows)
        bodies = templates.read_text().splitlines()
        statuses: list[int] = []
        for _ in range(rounds):
            loads["without"].append(asdict(open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())))
            with _retraining(contender.variables(PROJECT)) as ended:
                loads["with"].append(asdict(open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())))
            statuses += ended
    p99 = {name: statistics.median(each["p99_ms"] for each in found) for name, found in loads.items()}
    ratio = p99["with"] / p99["without"]
    click.echo(f"p99 {p99['without']:.1f} ms without and {p99['with']:.1f} ms with a retraining: {ratio:.2f}", err=True)
    return {"saturated": saturated, **loads, "p99_ms": p99, "ratio": ratio, "retrainings": statuses}


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
def _retraining(variables: Mapping[str, str]) -> Iterator[list[int]]:
    """Retrains again and again until the block ends. The list has the exit status of each run that ended by itself."""
    stopping, statuses = threading.Event(), list[int]()
    command = [sys.executable, "-m", "service", "retrain", "--dry-run"]
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **variables}

    def retrain() -> None:
        while not stopping.is_set():
            process = subprocess.Popen(
                command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while process.poll() is None:
                if stopping.wait(0.1):
                    process.terminate()
                    process.wait()
                    return
            statuses.append(process.returncode)

    thread = threading.Thread(target=retrain)
    thread.start()
    time.sleep(_IMPORT_SECONDS)
    try:
        yield statuses
    finally:
        stopping.set()
        thread.join()


if __name__ == "__main__":
    main()
