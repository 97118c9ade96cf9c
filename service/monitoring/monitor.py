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


class Monitor:
    """Makes the bodies of /performance and /drift. `reading` runs a report with the connection open; `batched` makes
    the batcher that runs concurrent reports one after the other. Callers that wait with the same query share one."""

    def __init__(
        self,
        performance: Performance,
        drift: Drift,
        reading: Callable[[Report], dict[str, Any]],
        batched: Callable[[Process[Any, Any]], Batcher[Any, Any]],
    ) -> None:
        self._performance = performance
        self._drift = drift
        self._reading = reading
        self._batcher: Batcher[Query, dict[str, Any]] = batched(self._process)

    def performance(self, query: PerformanceQuery) -> dict[str, Any]:
        """The body of GET /performance. Raises InvalidQuery for too many windows, and Unavailable if the log cannot be
        read now."""
        return self._batcher.submit(query)

    def drift(self, query: DriftQuery) -> dict[str, Any]:
        """The body of GET /drift. Raises Unavailable if the log cannot be read now."""
        return self._batcher.submit(query)

    def _process(self, queries: list[Query]) -> list[dict[str, Any] | Exception]:
        outcomes = {query: self._outcome(query) for query in dict.fromkeys(queries)}
        return [outcomes[query] for query in queries]

    def _outcome(self, query: Query) -> dict[str, Any] | Exception:
        try:
            return self._reading(partial(self._report, query))
        except ServiceError as error:
            return error

    def _report(self, query: Query) -> dict[str, Any]:
        if isinstance(query, PerformanceQuery):
            return self._performance.report(query)
        return self._drift.report(query)
