"""The rounds of a worker: it starts the process that scores new rows and watches promotions, and never waits for it."""

import json
import logging
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from service.learning.process import end
from service.learning.shadow import targets
from service.learning.watched import watched
from service.registry.registry import Registry
from service.storage.learning.scores import ShadowScores
from service.storage.session import Session
from service.telemetry.log_format import event

_EVERY_SECONDS = 60.0
_LONGEST_SECONDS = 3600.0  # of a round, and until one is due even if nothing is new
_AGAIN_SECONDS = 3600.0  # until a model is tried again that failed, or ended the process

_log = logging.getLogger("service")


class Rounds:
    """Starts a round at most once a minute, if there is something to do. `registry` is None if it is off. `command`
    starts the process; it gets what the rounds before it have done, and the id of this process.

    What was done is only in memory. A new worker repeats the last look, at the same rows, and scores no row again."""

    def __init__(self, registry: Registry | None, session: Session, command: Sequence[str]) -> None:
        self._registry = None if registry is None or registry.digest is not None else registry
        self._session = session
        self._command = tuple(command)
        self._child: subprocess.Popen[str] | None = None
        self._due = self._began = float("-inf")
        self._seen: tuple[Any, ...] | None = None
        self._looked: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._failed: dict[str, float] = {}

    def round(self) -> None:
        """Begins a round if one is due, or takes what the last one did; returns at once. Raises Unavailable if the
        database cannot be used now."""
        now = time.monotonic()
        if self._child is not None:
            if self._child.poll() is None:
                if now - self._began > _LONGEST_SECONDS:
                    end(self._child)
                return
            self._take(self._child)
        if self._registry is None or now < self._due:
            return
        self._due = now + _EVERY_SECONDS
        self._failed = {version: at for version, at in self._failed.items() if now - at < _AGAIN_SECONDS}
        seen = self._state(self._registry)
        if seen is not None and (seen != self._seen or now - self._began > _LONGEST_SECONDS):
            self._seen = seen
            self._start()

    def stop(self) -> None:
        """Ends the round that runs."""
        if self._child is not None:
            end(self._child)
            self._child.communicate()  # closes the pipe
            self._child = None

    def _state(self, registry: Registry) -> tuple[Any, ...] | None:
        """What a round depends on; None if there is nothing to do."""
        found = watched(registry.promotions, datetime.now(UTC))
        chosen = [one for one in targets(registry, self._session, found) if one.version not in self._failed]
        if found is None and not chosen:
            return None
        scores = ShadowScores(self._session.database)
        last = self._session.read(scores.last)
        labelled = 0 if found is None else self._session.read(lambda: scores.labelled(found.since))
        return found, tuple(chosen), last, labelled

    def _start(self) -> None:
        state = {"looked": self._looked, "ends": self._ends, "failed": list(self._failed)}
        command = [*self._command, json.dumps(state), str(os.getpid())]
        self._began = time.monotonic()
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        except OSError as error:
            self._seen = None
            event(_log, logging.WARNING, "watch-failed", reason=error.strerror)

    def _take(self, child: "subprocess.Popen[str]") -> None:
        """Takes what a process that has ended told."""
        self._child = None
        scoring = None
        told, _ = child.communicate()
        for change in _changes(told):
            self._looked |= change.get("looked", {})
            self._ends |= change.get("ends", {})
            scoring = change.get("scoring")
            if "failed" in change:
                self._failed[change["failed"]] = time.monotonic()
        if child.returncode or scoring is not None:  # a model may end its process with any status
            self._seen = None  # the next round repeats it
            event(_log, logging.WARNING, "watch-failed", version=scoring, reason=f"exit status {child.returncode}")
            if scoring is not None:
                self._failed[scoring] = time.monotonic()


def _changes(told: str) -> Iterator[dict[str, Any]]:
    """The lines as JSON, up to one that a process left unfinished."""
    for line in told.splitlines():
        with suppress(ValueError):
            yield json.loads(line)
