"""Whether swaps need ever more memory: `python -m benchmarks.swap_memory`. One worker serves two forests of
about 100 MB in turn, which are registered in a SQLite file, and its private memory is read after each swap."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import psutil
import requests
from sklearn.ensemble import RandomForestClassifier

from benchmarks import result
from benchmarks.contenders import Model, service, sqlite_url
from benchmarks.loads.wrk import first_id
from benchmarks.machine import libraries, machine
from benchmarks.passengers import ID, PASSENGER, WrongAnswer, prediction
from benchmarks.servers import Server, serve
from serialize import dump
from serialize.artifact import Artifact
from serialize.content import read_content
from serialize.recipes.titanic import titanic
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.session import Session

_COPIES = 20  # of each passenger, with other ages and fares
_TREES = 90
_VARIABLES = {"WEB_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "2"}  # as in the Procfile
_REQUESTS = 20
_SWAP_SECONDS = 60.0
_READINGS = 5  # a second apart: the old model is freed a moment after its last request
_ALLOWED_GROWTH = 0.15
_MEGABYTE = 1024 * 1024


@click.command()
@click.option("--swaps", default=50, show_default=True, help="How often the model is exchanged.")
def main(swaps: int) -> None:
    """Measure the private memory of a worker over many swaps and write the result as JSON. The exit code is 1 if it is
    more than 15 % larger after the last swap than after the second."""
    before = machine()
    with tempfile.TemporaryDirectory(prefix="swap-memory-") as scratch:
        forests = [_forest(Path(scratch) / name, seed) for seed, name in enumerate(("first", "second"))]
        folders = [str(forest.path) for forest in forests]
        sizes = [sum(map(len, read_content(folder).files.values())) / _MEGABYTE for folder in folders]
        measured = _measured(forests, swaps)
    memory = measured["private_mb"]
    growth = memory[-1] / memory[1] - 1
    click.echo(f"{memory[1]:.0f} MB after the second swap, {memory[-1]:.0f} MB after the last: {growth:+.1%}", err=True)
    found = {
        "machine": before,
        "versions": libraries({}),
        "settings": {"swaps": swaps, "trees": _TREES, "files_mb": sizes, **_VARIABLES},
        **measured,
        "growth": growth,
    }
    click.echo(f"Wrote {result.write('swap-memory', found).name}")
    sys.exit(growth > _ALLOWED_GROWTH)


def _forest(folder: Path, seed: int) -> Artifact:
    """A forest for passengers. Its targets are random, so that the trees are large."""
    rng, recipe = np.random.default_rng(seed), titanic()
    X = pd.concat([recipe.X] * _COPIES, ignore_index=True)
    X["Age"] = (X["Age"] + rng.uniform(0, 1, len(X))).round(3)
    X["Fare"] = (X["Fare"] + rng.uniform(0, 1, len(X))).round(3)
    y = pd.Series(rng.random(len(X)) < 0.5)
    recipe.pipeline.steps[-1] = ("forest", RandomForestClassifier(_TREES, random_state=seed, n_jobs=1))
    fitted = recipe.pipeline.fit(X, y)
    return dump(fitted, X, y, folder, name="forest", metrics="none", importances=False)


def _measured(forests: list[Artifact], swaps: int) -> dict[str, Any]:
    """The private memory in MB at the start and after each swap, and the seconds from promotion to answer."""
    outputs = forests[0].model.outputs([PASSENGER])
    model = Model(Path(str(forests[0].path)), float(outputs[0, forests[0].manifest.task.positive_index]))
    memory, seconds = [], []
    with serve(service(model, sqlite_url, "service-sqlite", variables=_VARIABLES)) as server:
        (worker,) = server.workers()[:1]
        start = _private_mb(worker)
        session = Session(database_of(Settings(database_url=sqlite_url(server.folder))))
        registry = registry_of(Settings(database_url=sqlite_url(server.folder)), session)
        assert registry is not None
        registry.register(read_content(str(forests[1].path)), "benchmark")
        for number in range(1, swaps + 1):
            seconds.append(_swap(server, registry, forests[number % 2].version))
            _predict(server, forests[number % 2].version)
            memory.append(_private_mb(worker))
            click.echo(f"swap {number}: {memory[-1]:.0f} MB, {seconds[-1]:.1f} s", err=True)
        session.close()
    return {"start_mb": start, "private_mb": memory, "swap_seconds": seconds}


def _swap(server: Server, registry: Registry, version: str) -> float:
    """Promotes a model, waits until it answers, and returns the seconds."""
    began = time.monotonic()
    registry.promotions.promote(version, registry.promotions.champion(), "benchmark")
    while _served(server) != version:
        if time.monotonic() > began + _SWAP_SECONDS:
            raise WrongAnswer(f"{version} does not serve after {_SWAP_SECONDS:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


def _served(server: Server) -> str:
    return str(requests.get(server.url.replace("/predict", "/livez"), timeout=20).headers["X-Model-Version"])


def _predict(server: Server, version: str) -> None:
    for _ in range(_REQUESTS):
        body = prediction(PASSENGER).replace(ID, str(first_id()))
        answer = requests.post(server.url, data=body, headers={"Content-Type": "application/json"}, timeout=20)
        if answer.status_code != 200 or answer.headers["X-Model-Version"] != version:
            raise WrongAnswer(f"{answer.status_code} from {answer.headers['X-Model-Version']}")


def _private_mb(worker: psutil.Process) -> float:
    """The least of several readings."""
    readings = []
    for _ in range(_READINGS):
        time.sleep(1.0)
        readings.append(float(worker.memory_full_info().uss))
    return min(readings) / _MEGABYTE


if __name__ == "__main__":
    main()
