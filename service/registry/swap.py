"""Follows the champion while the service runs: each worker looks about once a second and exchanges its model."""

import fcntl
import gc
import logging
import os
import random
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL
from pathlib import Path
from typing import Any

from serialize.content import Content
from serialize.errors import ArtifactError, one_line
from service.batching import Aside, run_in_background
from service.errors import ServiceError, Unavailable
from service.registry.champion import Wanted
from service.registry.registry import Registry
from service.telemetry.log_format import event

_SECONDS, _SPREAD = 1.0, 0.2
_LONGEST_SECONDS = 10.0  # between two looks while the database is away
_FIRST_LOOK_STEP_SECONDS = 0.01
_SMALL_PARTS = 8  # a model of 32 MiB loads in less than a second
_COLLECTIONS = 30

_log = logging.getLogger("service")


class Swap:
    """Exchanges the model of one worker. `served` gives the version that serves. `exchange` loads a model, compares its
    golden rows, makes new requests get it, and returns what served before. `aside` runs a job beside the event loop.
    The workers of a service share `directory`. `on_state` is told whether the worker lacks the champion."""

    def __init__(
        self,
        registry: Registry,
        wanted: Wanted,
        served: Callable[[], str],
        exchange: Callable[[Content], Any],
        directory: Callable[[], Path],
        aside: Aside,
        on_state: Callable[[bool], None],
    ) -> None:
        self._registry = registry
        self._wanted = wanted
        self._served = served
        self._exchange = exchange
        self._directory = directory
        self._aside = aside
        self._on_state = on_state
        self._is_away = False
        self._has_looked = False
        self._note: Path | None = None
        self._before: weakref.ref[Any] | None = None
        self._collections = 0

    def start(self, seconds: float) -> None:
        """Follows the champion until the process ends. Returns after the first look, or after so many seconds."""
        self._on_state(self._wanted.why is not None)
        deadline = time.monotonic() + seconds
        run_in_background(self._follow)
        while not self._has_looked and time.monotonic() < deadline:
            time.sleep(_FIRST_LOOK_STEP_SECONDS)

    def stop(self) -> None:
        """Tells the next worker that this one did not die of a model, if it ends while it loads one."""
        note = self._note  # a thread may end the load meanwhile
        if note is not None:
            note.unlink(missing_ok=True)

    def look(self) -> bool:
        """Reads the champion once, and takes it if it is another. Returns whether the database answered; if it did not,
        the model stays. A model that failed is not tried again until another one is promoted."""
        try:
            version = self._aside(self._registry.promotions.watched_champion)
            if version is not None and not self._wanted.failed(version):
                self._take(version)
        except Unavailable as error:
            self._note_database(is_away=True, reason=error.reason)
            return False
        self._note_database(is_away=False)
        return True

    def _follow(self) -> None:
        pause = _SECONDS
        while True:
            pause = _SECONDS if self.look() else min(2 * pause, _LONGEST_SECONDS)
            self._has_looked = True
            self._free_before()
            time.sleep(min(pause * random.uniform(1 - _SPREAD, 1 + _SPREAD), _LONGEST_SECONDS))

    def _take(self, version: str) -> None:
        """Makes a version serve, or notes why it cannot. Raises Unavailable if the database goes away meanwhile."""
        before = self._served()
        self._wanted.serve(version)
        try:
            if version != before:
                self._before = self._aside(lambda: self._load(version))
                self._collections = _COLLECTIONS
                event(_log, logging.INFO, "swap", version=version, before=before)
        except Unavailable:
            raise
        except (ArtifactError, ServiceError) as error:
            self._wanted.fail(version, str(error))
        except Exception as error:  # noqa: BLE001 - a model may raise anything while it is loaded
            self._wanted.fail(version, one_line(error))
        self._on_state(self._wanted.why is not None)

    def _load(self, version: str) -> "weakref.ref[Any]":
        """Returns a weak reference to what served before: a thread of the pool may keep what it returned until its next
        job."""
        with self._alone_if_large(version), self._noted(version):
            return weakref.ref(self._exchange(self._registry.content(version)))

    @contextmanager
    def _alone_if_large(self, version: str) -> Iterator[None]:
        """Only one worker at a time loads a large model, so that memory stays bounded."""
        if 0 < self._registry.store.number_of_parts(version) <= _SMALL_PARTS:  # a model at a URL has none
            yield
            return
        with open(self._directory() / "swap.lock", "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _noted(self, version: str) -> Iterator[None]:
        """Notes that this process loads the model. If it dies of it, no other process of this service tries again."""
        for note in self._directory().glob(f"loading-{version}-*"):
            if not _lives(int(note.suffix[1:])):
                raise ArtifactError(
                    f"A worker died while it loaded model {version}, so it is not loaded again before a restart."
                )
        self._note = self._directory() / f"loading-{version}-.{os.getpid()}"
        self._note.touch()
        try:
            yield
        finally:
            self._note.unlink(missing_ok=True)
            self._note = None

    def _free_before(self) -> None:
        """Frees the memory of the model that served before, once no request uses it."""
        if self._before is None:
            return
        self._aside(give_back_memory)
        self._collections -= 1
        if self._before() is None or not self._collections:
            self._before = None

    def _note_database(self, *, is_away: bool, reason: str | None = None) -> None:
        if is_away != self._is_away:
            self._is_away = is_away
            level, name = (logging.WARNING, "registry-away") if is_away else (logging.INFO, "registry-back")
            event(_log, level, name, reason=reason)


def give_back_memory() -> None:
    """Frees what is not used any more, and returns it to the system."""
    gc.collect()
    with suppress(OSError, AttributeError):  # a C library without malloc_trim
        CDLL(None).malloc_trim(0)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
