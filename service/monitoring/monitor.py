"""The reports on the service's own log. They run one at a time, on their own database connection, and do not delay
predictions."""

from collections.abc import Callable
from functools import partial
from typing import Any

from service.batching import Batcher, Process
from service.errors import ServiceError
from service.monitoring.drift import Drift
from service.monitoring.performance import Performance
from service.prediction.filter import DriftQuery, PerformanceQuery

Query = PerformanceQuery | DriftQuery
Report = Callable[[], dict[str, Any]]


class Reports:
    """Runs the reports of all models one after the other. `reading` runs a report with the connection open; `batched`
    makes the batcher. Callers that wait for the same report share one."""

    def __init__(
        self,
        reading: Callable[[Report], dict[str, Any]],
        batched: Callable[[Process[Any, Any]], Batcher[Any, Any]],
    ) -> None:
        self._reading = reading
        self._batcher: Batcher[tuple[Monitor, Query], dict[str, Any]] = batched(self._process)

    def submit(self, monitor: "Monitor", query: Query) -> dict[str, Any]:
        """The report of a monitor for a query. Raises as the report, and Unavailable if the log cannot be read now."""
        return self._batcher.submit((monitor, query))

    def _process(self, wanted: list[tuple["Monitor", Query]]) -> list[dict[str, Any] | Exception]:
        outcomes = {one: self._outcome(*one) for one in dict.fromkeys(wanted)}
        return [outcomes[one] for one in wanted]

    def _outcome(self, monitor: "Monitor", query: Query) -> dict[str, Any] | Exception:
        try:
            return self._reading(partial(monitor.report, query))
        except ServiceError as error:
            return error


class Monitor:
    """Makes the bodies of /performance and /drift for one model, through the queue of all `reports`."""

    def __init__(self, performance: Performance, drift: Drift, reports: Reports) -> None:
        self._performance = performance
        self._drift = drift
        self._reports = reports

    def performance(self, query: PerformanceQuery) -> dict[str, Any]:
        """The body of GET /performance. Raises InvalidQuery for too many windows, and Unavailable if the log cannot be
        read now."""
        return self._reports.submit(self, query)

    def drift(self, query: DriftQuery) -> dict[str, Any]:
        """The body of GET /drift. Raises Unavailable if the log cannot be read now."""
        return self._reports.submit(self, query)

    def report(self, query: Query) -> dict[str, Any]:
        """The report itself, with the connection open."""
        if isinstance(query, PerformanceQuery):
            return self._performance.report(query)
        return self._drift.report(query)
