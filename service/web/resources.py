"""The REST resources. Each method only translates a request into a call, and the result into a response."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, request
from flask_restful import Resource
from werkzeug.datastructures import MIMEAccept

from service.demo import Demo
from service.monitoring.monitor import Monitor
from service.prediction.service import PredictionService, Reply
from service.storage.deletion import LogDump, Reset
from service.web.access_log import RequestInfo
from service.web.admin_payload import require_database_name, row_count
from service.web.json_body import JsonBody
from service.web.pages import LogPages
from service.web.problem import FinalResponse, encoded
from service.web.query import drift_query, performance_query

_REPLAYED = (("Idempotent-Replayed", "true"),)


class _PredictionResource(Resource):  # type: ignore[misc]
    init_every_request = False

    def __init__(self, service: PredictionService, body: JsonBody, encode: Callable[[Any], bytes]) -> None:
        self._service, self._body, self._encode = service, body, encode

    def _respond(self, reply: Reply) -> Response:
        RequestInfo.of(request.environ).observation_ids = reply.observation_ids
        return FinalResponse(self._encode(reply.body), *(_REPLAYED if reply.replayed else ()))


class Predict(_PredictionResource):
    """Scores and stores observations."""

    def post(self) -> Response:
        return self._respond(self._service.predict(self._body.value_or_encoded(request)))


class Update(_PredictionResource):
    """Records true labels."""

    def post(self) -> Response:
        return self._respond(self._service.update(self._body.value_or_encoded(request)))


class _ConstantBody(Resource):  # type: ignore[misc]
    """Answers the same bytes each time, so that many slow readers share them. They are made at the first request."""

    init_every_request = False

    def __init__(self, body: Callable[[], bytes]) -> None:
        self._body = body

    def get(self) -> Response:
        return FinalResponse(self._body())


class Index(_ConstantBody):
    """The names of the service and its model, and where to go next."""


class ModelCard(_ConstantBody):
    """The model that is served."""


class Document(_ConstantBody):
    """The OpenAPI document of the API."""


class MetricsText(Resource):  # type: ignore[misc]
    """The metrics of the service, for Prometheus."""

    def __init__(self, text: Callable[[], str], content_type: str) -> None:
        self._text, self._content_type = text, content_type

    def get(self) -> Response:
        return Response(self._text(), content_type=self._content_type)


class Live(Resource):  # type: ignore[misc]
    """Answers while the process is up."""

    def get(self) -> dict[str, str]:
        return {"status": "up"}


class Ready(Resource):  # type: ignore[misc]
    """Answers 200 if the database takes writes. The model was verified before this process started to listen."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def get(self) -> dict[str, str]:
        self._check()
        return {"status": "ready"}


class EmptyLog(Resource):  # type: ignore[misc]
    """Exports the log to a file, then empties it."""

    def __init__(self, reset: Reset, empty: Callable[[], LogDump], body: JsonBody) -> None:
        self._reset, self._empty, self._body = reset, empty, body

    def post(self) -> dict[str, Any]:
        require_database_name(self._body.of(request), self._reset.name)
        dump = self._empty()
        return {"export": dump.path.name, "rows": dump.rows}


class SeedLog(Resource):  # type: ignore[misc]
    """Fills the log with demo data."""

    def __init__(self, demo: Demo, body: JsonBody) -> None:
        self._demo, self._body = demo, body

    def post(self) -> Response:
        seeded = self._demo.seed(row_count(self._body.of_optional(request, {})))
        body = encoded({"recipe": seeded.recipe, "rows": seeded.rows})
        return FinalResponse(body, *(_REPLAYED if seeded.replayed else ()))


NDJSON = "application/x-ndjson"


class Predictions(Resource):  # type: ignore[misc]
    """The prediction log, in pages or as a stream; DELETE erases one prediction."""

    def __init__(self, pages: LogPages) -> None:
        self._pages = pages

    def get(self) -> Response:
        arguments = request.args.to_dict(flat=False)
        if _prefers_ndjson(request.accept_mimetypes):
            return Response(self._pages.stream(arguments), content_type=NDJSON)
        page = self._pages.page(arguments)
        links = {"Link": f'<{page.next}>; rel="next"'} if page.next else {}
        return Response(page.body, 200, links, content_type="application/json")

    def delete(self) -> Response:
        key, erased = self._pages.erase(request.args.to_dict(flat=False))
        RequestInfo.of(request.environ).observation_ids = (json.loads(key),)
        return Response(erased + "\n", content_type="application/json")


def _prefers_ndjson(accepted: MIMEAccept) -> bool:
    """Whether the client names NDJSON in Accept, and prefers JSON no more than that."""
    named = [quality for media, quality in accepted if media.partition(";")[0].strip().lower() == NDJSON]
    return 0 < max(named, default=0) >= accepted.quality("application/json")


class PerformanceReport(Resource):  # type: ignore[misc]
    """How good the predictions were, measured with the true labels received so far."""

    def __init__(self, monitor: Monitor, columns: Sequence[str]) -> None:
        self._monitor, self._columns = monitor, columns

    def get(self) -> dict[str, Any]:
        return self._monitor.performance(performance_query(request.args.to_dict(flat=False), self._columns))


class DriftReport(Resource):  # type: ignore[misc]
    """Where observations and predictions differ from the training data."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def get(self) -> dict[str, Any]:
        return self._monitor.drift(drift_query(request.args.to_dict(flat=False)))
