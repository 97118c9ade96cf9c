"""A real Dask cluster: a scheduler and workers, each in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

from benchmarks.passengers import PROJECT

WORKERS = 2
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster with two workers."""

    address: str

    def worker_ids(self) -> list[int]:
        """The process ids of the workers."""
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=60)
            return sorted(client.run(os.getpid).values())


@contextmanager
def cluster(folder: Path, variables: Mapping[str, str] | None = None, threads: int = 1) -> Iterator[Cluster]:
    """Starts a cluster, whose workers have these environment variables and so many threads each."""
    address = folder / "scheduler.json"
    common = ("--scheduler-file", str(address), "--host", "127.0.0.1", "--no-dashboard")
    scheduler = _start(folder, {}, "scheduler", "--port", "0", *common)
    try:
        _wait_for(address)
        counts = ("--nworkers", str(WORKERS), "--nthreads", str(threads))
        workers = _start(folder, variables or {}, "worker", *counts, *common)
        try:
            yield Cluster(json.loads(address.read_text())["address"])
        finally:
            _stop(workers)
    finally:
        _stop(scheduler)


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the scheduler does not start")
        time.sleep(0.05)


def _start(folder: Path, variables: Mapping[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{arguments[0]}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **variables},
            stdout=log,
            stderr=log,
        )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
