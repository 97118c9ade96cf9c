"""A report for GET /metrics that takes longer than a scrape may wait. A scrape returns cached values at once and starts
a background refresh; the next scrape, on any worker, sees the result."""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.errors import ServiceError
from service.telemetry.log_format import event

_MIN_AGE_SECONDS = 1.0
# Values are kept for at least this many times the duration of their computation.
_AGE_PER_DURATION = 20

_log = logging.getLogger("service")


class CachedReport:
    """Caches what `report` computes, which is JSON, in a file of this name in `directory`, which all workers share.
    `run_in_background` schedules a job and returns at once."""

    def __init__(
        self,
        name: str,
        report: Callable[[], dict[str, Any]],
        directory: Callable[[], Path],
        run_in_background: Callable[[Callable[[], None]], None],
    ) -> None:
        self._name = name
        self._report = report
        self._directory = directory
        self._run_in_background = run_in_background
        self._is_computing = False

    def cached(self) -> Any:
        """The cached `report` and the time `at` which it was computed, in seconds since 1970; None if there is none."""
        try:
            return json.loads(self._path().read_text())
        except FileNotFoundError:
            return None

    def refresh(self) -> None:
        """Starts a background computation, unless the cached values are recent or one is running in this process."""
        cached = self.cached() or {"at": float("-inf"), "took": 0.0}
        age = time.time() - cached["at"]
        if not self._is_computing and not 0 <= age < max(_MIN_AGE_SECONDS, _AGE_PER_DURATION * cached["took"]):
            self._is_computing = True
            self._run_in_background(self._compute)

    def _compute(self) -> None:
        began = time.monotonic()
        try:
            report = {"report": self._report(), "took": time.monotonic() - began, "at": time.time()}
            # One rename replaces the file, so that no worker reads a half-written report.
            fresh = self._path().with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(report))
            fresh.replace(self._path())
        except (ServiceError, OSError) as error:
            event(_log, logging.WARNING, "no-figures", reason=getattr(error, "reason", type(error).__name__))
        finally:
            self._is_computing = False

    def _path(self) -> Path:
        return self._directory() / f"{self._name}.json"
