"""The parts of learning that the tests kill, as functions for `run_call` of tests.support.killed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from unittest.mock import patch

from service.learning import child, retrain, rounds, shadow, watch, worker  # noqa: F401 - loaded once, before the forks
from service.learning.kinds import KINDS
from service.registry import release
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.learning import scores
from service.storage.learning.jobs import JobStore
from service.storage.session import Session

ROWS_AT_ONCE = 100  # so that the logs of the tests have several blocks


class _Child(subprocess.Popen[bytes]):
    """A child that the worker waits for twice, so that it beats once whatever the speed of the machine."""

    number_of_waits = 0

    def wait(self, timeout: float | None = None) -> int:
        if self.number_of_waits:
            return super().wait()
        self.number_of_waits += 1
        raise subprocess.TimeoutExpired(self.args, timeout or 0.0)


def work_on_job(id_: int, attempt: int) -> None:
    """What the child of a worker does. It skips the proof of the model and its reading in a new process."""
    with (
        patch.object(retrain, "prove", return_value={}),
        patch.object(subprocess, "run", return_value=subprocess.CompletedProcess((), 0)),
        patch.object(os, "nice"),
    ):
        child.main(KINDS, id_, attempt, os.getppid())


def work_as_worker(script: str) -> None:
    """A worker that ends when no job waits. Its children are Python programs with this source."""
    settings = Settings.from_env()

    class Stop:
        def round(self) -> None:
            made.stop()

        def stop(self) -> None:
            pass

    with (
        closing(Session(database_of(settings))) as session,
        patch.object(worker, "_BEAT_SECONDS", 0.0),
        patch.object(subprocess, "Popen", _Child),
    ):
        made = worker.Worker(JobStore(session), "here:1", (sys.executable, "-S", "-c", script), lambda: 0, Stop())  # type: ignore[arg-type]
        made.run()


def work_one_round() -> None:
    """What the process of a worker's round does, in a new worker. It skips the proof of the model."""
    settings = Settings.from_env()
    told: list[Mapping[str, Any]] = []
    with (
        closing(Session(database_of(settings))) as session,
        patch.object(release, "prove", return_value={}),
        patch.object(scores, "ROWS_AT_ONCE", ROWS_AT_ONCE),
    ):
        registry = registry_of(settings, session)
        assert registry is not None
        shadow.work(registry, session, {"looked": {}, "ends": {}, "failed": []}, told.append, compiled=False)
