"""The jobs in the database, the verdicts of the gate and the rollbacks of the watch for GET /metrics."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from service.telemetry import metric_definitions as metrics
from service.telemetry.cached_report import CachedReport
from service.telemetry.metric_definitions import Sample


class LiveJobs:
    """Caches the figures of learning, computed by `report`, in `directory`, which all workers share.
    `run_in_background` schedules a job and returns at once."""

    def __init__(
        self,
        report: Callable[[], dict[str, Any]],
        directory: Callable[[], Path],
        run_in_background: Callable[[Callable[[], None]], None],
    ) -> None:
        self._report = CachedReport("jobs", report, directory, run_in_background)

    def samples(self) -> Iterator[Sample]:
        """The cached values."""
        cached = self._report.cached()
        if cached is None:
            return
        report = cached["report"]
        for state, number in report["states"].items():
            yield Sample(metrics.JOBS, {"state": state}, number)
        for kind, state in report["newest"].items():
            yield Sample(metrics.NEWEST_JOB, {"kind": kind, "state": state}, 1)
        if report["worker_seen"] is not None:
            yield Sample(metrics.JOB_WORKER_AGE, {}, report["worker_seen"])
        if report["verdict"] is not None:
            version, outcome = report["verdict"]
            yield Sample(metrics.NEWEST_VERDICT, {"model_version": version, "outcome": outcome}, 1)
        if report["rolled_back_at"] is not None:
            yield Sample(metrics.WATCH_ROLLBACK_AT, {}, report["rolled_back_at"])

    def refresh(self) -> None:
        """Starts a background computation, unless the cached values are recent or one is running in this process."""
        self._report.refresh()
