"""The client of the service: predictions and true labels, one or many, each sent until it is answered."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from service.client.answers import Label, ObservationId, Prediction
from service.client.chunks import answers
from service.client.errors import NoAnswer, refusal
from service.client.json_text import encoded
from service.client.retries import require_seconds
from service.client.transport import Reply, Transport

Observation = Mapping[str, Any]


class Client:
    """Sends requests to the service at `url`, such as `http://127.0.0.1:5000`, with an API key if there is one.

    A request is sent again after a connection error, a timeout, an incomplete answer, and 408, 429, 502, 503 and 504.
    That is safe, because the service answers a known id with its stored row. `timeout` is the time in seconds for one
    attempt: to connect, to send, and to wait for the next part of the answer. `patience` is the time in seconds for
    all attempts; no attempt begins after it. An answer that arrives in many slow parts may take longer than both.

    Threads may share a client; a forked process needs its own. Use it in a `with` statement, or call `close`. Raises
    InvalidAddress for a URL or key that cannot be used. Each request may raise a ClientError: Refused (or its
    kinds Conflict and NotFound), NoAnswer or NotJson."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 5.0, patience: float = 60.0) -> None:
        require_seconds(timeout, patience)
        self._transport = Transport(url, key or "", timeout, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. A request after it is a ValueError."""
        self._transport.close()

    def predict(self, observation_id: ObservationId, observation: Observation) -> Prediction:
        """The prediction for an observation, a value for each column. It is stored when this returns. Raises Conflict
        if the id is known with another observation."""
        return self._one("/predict", {"id": observation_id, "observation": dict(observation)})

    def predict_many(
        self, items: Iterable[tuple[ObservationId, Observation]], chunk: int = 1000
    ) -> Iterator[Prediction]:
        """The predictions for pairs of id and observation, in order. Nothing is sent before the result is iterated, and
        items are taken as they are needed, `chunk` of them for one request. Each chunk is stored completely or not at
        all; an error tells how many items are `stored`, and its pointers begin with positions in `items`. An error that
        `items` itself raises, such as one of another call of the client, passes unchanged."""
        rows = ({"id": id_, "observation": dict(observation)} for id_, observation in items)
        return self._many("/predict", rows, chunk)

    def update(
        self, observation_id: ObservationId, true_class: Label | None = None, *, true_value: float | None = None
    ) -> Prediction:
        """Stores the true class of a prediction, or the true value if the model is a regression model. A later one
        replaces it. Raises NotFound if the id has no prediction."""
        name, label = _given(true_class, true_value)
        return self._one("/update", {"id": observation_id, name: label})

    def update_many(
        self,
        true_classes: Iterable[tuple[ObservationId, Label]] | None = None,
        *,
        true_values: Iterable[tuple[ObservationId, float]] | None = None,
        chunk: int = 1000,
    ) -> int:
        """Stores pairs of id and true class, or of id and true value, and returns their number when all are stored. It
        sends chunks as `predict_many` does. An id must not have two different labels in one chunk."""
        name, labels = _given(true_classes, true_values)
        rows = ({"id": id_, name: label} for id_, label in labels)
        return sum(1 for _ in self._many("/update", rows, chunk))

    def get(self, path: str) -> Reply:
        """The answer of a page with JSON, by its path: `/model`, or `/drift?last=500`. Raises Refused and NoAnswer."""
        if not path.startswith("/"):
            raise ValueError("The path begins with a slash.")
        return _accepted(self._transport.request("GET", path), path)

    def _one(self, path: str, item: dict[str, Any]) -> Prediction:
        reply = _accepted(self._transport.request("POST", path, encoded(item)), path)
        return _predictions([reply.body], [item], path, _replayed(path, reply, 1))[0]

    def _many(self, path: str, items: Iterable[dict[str, Any]], chunk: int) -> Iterator[Prediction]:
        if chunk < 1:
            raise ValueError("chunk is the number of items of one request, 1 or more.")
        return answers(items, chunk, partial(self._chunk, path))

    def _chunk(self, path: str, items: list[dict[str, Any]], first: int) -> list[Prediction]:
        reply = _accepted(self._transport.request("POST", path, encoded(items, first)), path, first)
        return _predictions(reply.body, items, path, _replayed(path, reply, len(items)))


def _given(true_class: Any, true_value: Any) -> tuple[str, Any]:
    """The JSON member for true labels with its value: the one that is given."""
    if (true_class is None) == (true_value is None):
        raise TypeError("Give the true class, or for a regression model the true value.")
    return ("true_class", true_class) if true_value is None else ("true_value", true_value)


def _accepted(reply: Reply, path: str, first: int = 0) -> Reply:
    """The reply if it is a 200 with JSON. Raises Refused, for an array with the position of its first item, and
    NoAnswer."""
    if reply.status != 200:
        raise refusal(reply.status, reply.body, reply.location, first, may_be_stored=reply.may_be_stored)
    if reply.body is None:
        raise NoAnswer(f"{path} gave an answer that is not JSON; is the URL right?", may_be_stored=True)
    return reply


def _replayed(path: str, reply: Reply, items: int) -> bool | None:
    """What the header says of each item: all of an array were stored before, or at least one of them is new."""
    if path != "/predict" or (items > 1 and not reply.replayed):
        return None
    return reply.replayed


def _predictions(bodies: Any, items: list[dict[str, Any]], path: str, replayed: bool | None) -> list[Prediction]:
    """The answers for these items. Raises NoAnswer if they are not the answers of this service to them."""
    try:
        found = [Prediction.of(body, replayed) for body in bodies]
    except (KeyError, TypeError, AttributeError):
        raise _strange(path) from None
    if len(found) != len(items) or any(map(_differs, found, items)):
        raise _strange(path)
    return found


def _differs(answer: Prediction, item: dict[str, Any]) -> bool:
    """Whether an answer is for another id. An id of another type, such as a date, was sent in another form."""
    return isinstance(item["id"], int | str) and item["id"] != answer.observation_id


def _strange(path: str) -> NoAnswer:
    return NoAnswer(f"{path} gave an answer that is not one of this service; is the URL right?", True)
