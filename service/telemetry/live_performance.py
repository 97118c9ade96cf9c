"""The live performance of the model for GET /metrics."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from service.telemetry import metric_definitions as metrics
from service.telemetry.cached_report import CachedReport
from service.telemetry.metric_definitions import Sample

_BOUNDS = {
    "value": metrics.PERFORMANCE,
    "low": metrics.PERFORMANCE_LOW,
    "high": metrics.PERFORMANCE_HIGH,
    "training": metrics.PERFORMANCE_TRAINING,
}
_TOTALS = {"count": metrics.LOGGED, "labelled": metrics.LABELLED, "coverage": metrics.LABELLED_SHARE}


class LivePerformance:
    """Caches the body of GET /performance for one model version, computed by `report`, in `directory`, which all
    workers share. `run_in_background` schedules a job and returns at once."""

    def __init__(
        self,
        model_version: str,
        report: Callable[[], dict[str, Any]],
        directory: Callable[[], Path],
        run_in_background: Callable[[Callable[[], None]], None],
    ) -> None:
        self._labels = {"model_version": model_version}
        self._report = CachedReport(f"performance-{model_version}", report, directory, run_in_background)

    def samples(self) -> Iterator[Sample]:
        """The cached values, without those that are undefined."""
        cached = self._report.cached()
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
        self._report.refresh()
