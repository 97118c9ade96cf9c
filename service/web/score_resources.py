"""The REST resources of the score that the service keeps of itself."""

from collections.abc import Sequence
from typing import Any

from flask import request
from flask_restful import Resource

from service.monitoring.monitor import Monitor
from service.web.query import drift_query, performance_query


class PerformanceReport(Resource):  # type: ignore[misc]
    """How good the answers were, by the true classes that came back."""

    def __init__(self, monitor: Monitor, columns: Sequence[str]) -> None:
        self._monitor, self._columns = monitor, columns

    def get(self) -> dict[str, Any]:
        return self._monitor.performance(performance_query(request.args.to_dict(flat=False), self._columns))


class DriftReport(Resource):  # type: ignore[misc]
    """Where observations and answers differ from those of the training."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def get(self) -> dict[str, Any]:
        return self._monitor.drift(drift_query(request.args.to_dict(flat=False)))
