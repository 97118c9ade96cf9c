"""The REST resources: each method translates a request into a call and its result into a response, nothing more."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request
from flask_restful import Resource

from service.api import Finished
from service.body import JsonBody
from service.flow import Answer, Flow
from service.request_line import Note

_REPLAYED = (("Idempotent-Replayed", "true"),)


class Predict(Resource):  # type: ignore[misc]
    """Scores and stores observations."""

    init_every_request = False

    def __init__(self, flow: Flow, body: JsonBody) -> None:
        self._flow, self._body = flow, body

    def post(self) -> Response:
        return _respond(self._flow.predict(self._body.of(request)))


class Update(Resource):  # type: ignore[misc]
    """Records true classes."""

    init_every_request = False

    def __init__(self, flow: Flow, body: JsonBody) -> None:
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

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def get(self) -> Mapping[str, Any]:
        return self._document


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


def _respond(answer: Answer) -> Response:
    Note.of(request.environ).observation_ids = answer.observation_ids
    return Finished(answer.body, *_REPLAYED) if answer.replayed else Finished(answer.body)
