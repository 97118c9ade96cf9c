"""The live performance of the model for GET /metrics. A scrape returns cached values at once and starts a background
refresh; the next scrape, on any worker, sees the result."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from service.errors import ServiceError
from service.telemetry import metric_definitions as metrics
from service.telemetry.log_format import event
from service.telemetry.metric_definitions import Sample

_MIN_AGE_SECONDS = 1.0
# Values are kept for at least this many times the duration of their computation.
_AGE_PER_DURATION = 20

_BOUNDS = {
    "value": metrics.PERFORMANCE,
    "low": metrics.PERFORMANCE_LOW,
    "high": metrics.PERFORMANCE_HIGH,
    "training": metrics.PERFORMANCE_TRAINING,
}
_TOTALS = {"count": metrics.LOGGED, "labelled": metrics.LABELLED, "coverage": metrics.LABELLED_SHARE}

_log = logging.getLogger("service")


class LivePerformance:
    """Caches the body of GET /performance for one model version, computed by `report`, in a file in `directory`, which
    all workers share. `run_in_background` schedules a job and returns at once."""

    def __init__(
        self,
        model_version: str,
        report: Callable[[], dict[str, Any]],
        directory: Callable[[], Path],
        run_in_background: Callable[[Callable[[], None]], None],
    ) -> None:
        self._labels = {"model_version": model_version}
        self._report = report
        self._directory = directory
        self._run_in_background = run_in_background
        self._is_computing = False

    def samples(self) -> Iterator[Sample]:
        """The cached values, without those that are undefined."""
        cached = self._cached()
        if cached is None:
            return
        report = cached["report"]
        found = [Sample(metrics.PERFORMANCE_AT, self._labels, cached["at"])]
        found += [Sample(spec, self._labels, report[name]) for name, spec in _TOTALS.items()]
        for name, metric in report["metrics"].items():
            found += [Sample(spec, {**self._labels, "metric": name}, metric[key]) for key, spec in _BOUNDS.items()]
        yield from (sample for sample in found if sample.value is not None)

    def refresh(self) -> None:
        """Starts a background computation, unless the cached values are recent or one is running in this process."""
        cached = self._cached() or {"at": float("-inf"), "took": 0.0}
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

    def _cached(self) -> Any:
        try:
            return json.loads(self._path().read_text())
        except FileNotFoundError:
            return None

    def _path(self) -> Path:
        return self._directory() / f"performance-{self._labels['model_version']}.json"
