"""Follows the champion while the service runs: each worker looks about once a second and exchanges its model."""

import fcntl
import gc
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL
from pathlib import Path

from serialize.artifact import Artifact, load_content
from serialize.errors import ArtifactError
from service.batching import Run
from service.errors import ServiceError, Unavailable
from service.registry.registry import Registry
from service.telemetry.log_format import event

_SECONDS, _SPREAD = 1.0, 0.2
_LONGEST_SECONDS = 10.0  # between two looks while the database is away

_log = logging.getLogger("service")


class Swap:
    """Exchanges the model of one worker. `served` gives the version that serves, `prove` compares the golden rows of a
    loaded model, and `exchange` makes new requests get it. `run` does a job beside the event loop. `directory` is
    shared by the workers of a machine: they load one after the other, so that memory stays bounded."""

    def __init__(
        self,
        registry: Registry,
        served: Callable[[], str],
        prove: Callable[[Artifact], Artifact],
        exchange: Callable[[Artifact], None],
        directory: Callable[[], Path],
        run: Run,
    ) -> None:
        self._registry = registry
        self._served = served
        self._prove = prove
        self._exchange = exchange
        self._directory = directory
        self._run = run
        self.wanted: str | None = None
        self.reason: str | None = None

    def follow(self) -> None:
        """Looks for the champion until the process ends. If the database is away, the model stays."""
        pause = _SECONDS
        while True:
            time.sleep(pause * random.uniform(1 - _SPREAD, 1 + _SPREAD))
            pause = _SECONDS if self.look() else min(2 * pause, _LONGEST_SECONDS)

    def look(self) -> bool:
        """Reads the champion once, and takes it if it is another. Returns whether the database answered. A model that
        failed is not tried again until another one is promoted."""
        try:
            version = self._run(self._registry.promotions.watched_champion)
        except Unavailable:
            return False
        if version in (None, self.wanted):
            return True
        self.wanted, self.reason = version, None
        if version != self._served():
            try:
                self._run(lambda: self._take(str(version)))
            except (ArtifactError, ServiceError) as error:
                self.reason = str(error)
                event(_log, logging.ERROR, "champion-unusable", version=version, reason=self.reason)
        return True

    def _take(self, version: str) -> None:
        with self._alone(), self._noted(version):
            before = self._served()
            self._exchange(self._prove(load_content(self._registry.content(version))))
            event(_log, logging.INFO, "swap", version=version, before=before)
        give_back_memory()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one worker of the machine loads a model at a time."""
        with open(self._directory() / "swap.lock", "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _noted(self, version: str) -> Iterator[None]:
        """Notes the version while it is loaded: if a worker dies of it, its successor does not try again."""
        note = self._directory() / f"loading-{version}"
        if note.exists():
            raise ArtifactError(f"A worker died while it loaded model {version}; it is not tried again.")
        note.touch()
        yield
        note.unlink()


def give_back_memory() -> None:
    """Frees what no request uses any more, and returns it to the system."""
    gc.collect()
    with suppress(OSError, AttributeError):
        CDLL(None).malloc_trim(0)
