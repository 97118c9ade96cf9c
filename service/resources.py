"""The REST resources: each method translates a request into a call and its result into a response, nothing more."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request
from flask_restful import Resource

from service.admin_payload import require_database_name, row_count
from service.api import Finished
from service.body import JsonBody
from service.demo import Demo
from service.flow import Answer, PredictionService
from service.request_line import Note
from service.reset import LogDump, Reset

_REPLAYED = (("Idempotent-Replayed", "true"),)


class Predict(Resource):  # type: ignore[misc]
    """Scores and stores observations."""

    init_every_request = False

    def __init__(self, flow: PredictionService, body: JsonBody) -> None:
        self._flow, self._body = flow, body

    def post(self) -> Response:
        return _respond(self._flow.predict(self._body.of(request)))


class Update(Resource):  # type: ignore[misc]
    """Records true classes."""

    init_every_request = False

    def __init__(self, flow: PredictionService, body: JsonBody) -> None:
        self._flow, self._body = flow, body

    def post(self) -> Response:
        return _respond(self._flow.update(self._body.of(request)))


class ModelCard(Resource):  # type: ignore[misc]
    """What is served."""

    def __init__(self, card: Mapping[str, Any]) -> None:
        self._card = card

    def get(self) -> Mapping[str, Any]:
        return self._card


class Document(Resource):  # type: ignore[misc]
    """The description of the API."""

    def __init__(self, document: Callable[[], Mapping[str, Any]]) -> None:
        self._document = document

    def get(self) -> Mapping[str, Any]:
        return self._document()


class Measured(Resource):  # type: ignore[misc]
    """What is measured of the service, for Prometheus."""

    def __init__(self, text: Callable[[], str], content_type: str) -> None:
        self._text, self._content_type = text, content_type

    def get(self) -> Response:
        return Response(self._text(), content_type=self._content_type)


class Live(Resource):  # type: ignore[misc]
    """Whether the process is up."""

    def get(self) -> dict[str, str]:
        return {"status": "up"}


class Ready(Resource):  # type: ignore[misc]
    """Whether the model is verified, which it was before this process listened, and the database takes writes."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def get(self) -> dict[str, str]:
        self._check()
        return {"status": "ready"}


class EmptyLog(Resource):  # type: ignore[misc]
    """Exports and empties the log."""

    def __init__(self, reset: Reset, empty: Callable[[], LogDump], body: JsonBody) -> None:
        self._reset, self._empty, self._body = reset, empty, body

    def post(self) -> dict[str, Any]:
        require_database_name(self._body.of(request), self._reset.name)
        done = self._empty()
        return {"export": done.path.name, "rows": done.rows}


class SeedLog(Resource):  # type: ignore[misc]
    """Fills the log with a demo."""

    def __init__(self, demo: Demo, body: JsonBody) -> None:
        self._demo, self._body = demo, body

    def post(self) -> Response:
        seeded = self._demo.seed(row_count(self._body.of_optional(request, {})))
        return _with_replay({"recipe": seeded.recipe, "rows": seeded.rows}, seeded.replayed)


def _respond(answer: Answer) -> Response:
    Note.of(request.environ).observation_ids = answer.observation_ids
    return _with_replay(answer.body, answer.replayed)


def _with_replay(body: Any, replayed: bool) -> Response:
    return Finished(body, *_REPLAYED) if replayed else Finished(body)
