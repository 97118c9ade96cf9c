"""How the service keeps score: the reports on its own log, made one at a time, beside the serving path and on a
connection of their own."""

from collections.abc import Callable, Sequence
from typing import Any

from service.batching import Batcher, Process
from service.drift import Drift
from service.errors import ServiceError
from service.performance import Performance
from service.query import Arguments, drift_query, performance_query

Report = Callable[[], dict[str, Any]]


class Scorecard:
    """Answers for /performance and /drift. `reading` runs a report with the connection open; `batched` makes the
    batcher that keeps concurrent callers apart."""

    def __init__(
        self,
        performance: Performance,
        drift: Drift,
        columns: Sequence[str],
        reading: Callable[[Report], dict[str, Any]],
        batched: Callable[[Process[Any, Any]], Batcher[Any, Any]],
    ) -> None:
        self._performance = performance
        self._drift = drift
        self._columns = columns
        self._reading = reading
        self._batcher: Batcher[Report, dict[str, Any]] = batched(self._process)

    def performance(self, arguments: Arguments) -> dict[str, Any]:
        """How good the answers were. Raises InvalidQuery, and Unavailable where the log cannot be read now."""
        query = performance_query(arguments, self._columns)
        return self._batcher.submit(lambda: self._performance.report(query))

    def drift(self, arguments: Arguments) -> dict[str, Any]:
        """How the observations differ from those of the training. Raises as `performance`."""
        query = drift_query(arguments)
        return self._batcher.submit(lambda: self._drift.report(query))

    def _process(self, reports: list[Report]) -> list[dict[str, Any] | Exception]:
        return [self._outcome(report) for report in reports]

    def _outcome(self, report: Report) -> dict[str, Any] | Exception:
        try:
            return self._reading(report)
        except ServiceError as error:
            return error
