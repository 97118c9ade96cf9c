"""The REST resources of the score that the service keeps of itself."""

from typing import Any

from flask import request
from flask_restful import Resource

from service.scorecard import Scorecard


class PerformanceReport(Resource):  # type: ignore[misc]
    """How good the answers were, by the true classes that came back."""

    def __init__(self, scorecard: Scorecard) -> None:
        self._scorecard = scorecard

    def get(self) -> dict[str, Any]:
        return self._scorecard.performance(request.args.to_dict(flat=False))


class DriftReport(Resource):  # type: ignore[misc]
    """Where observations and answers differ from those of the training."""

    def __init__(self, scorecard: Scorecard) -> None:
        self._scorecard = scorecard

    def get(self) -> dict[str, Any]:
        return self._scorecard.drift(request.args.to_dict(flat=False))
