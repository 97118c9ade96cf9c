"""One good client, and the record of every answer that it got."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.passengers import all_passengers

PASSENGERS = all_passengers()

_TIMEOUT_SECONDS = 30.0

ObservationId = int | str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A 200 of /predict: the id, the index of the passenger, the answer, and whether it was a replay. `version` is the
    model version in its header, and `asked_at` the time of the request in seconds since 1970."""

    id: ObservationId
    passenger: int
    answer: dict[str, Any]
    replayed: bool
    version: str | None = None
    asked_at: float = 0.0


@dataclass(slots=True)
class Labelled:
    """A true label that was sent to /update, and the answer if it was a 200. The next label of an id is sent only after
    the 200 of the one before."""

    id: ObservationId
    label: bool
    answer: dict[str, Any] | None = None


@dataclass(slots=True)
class Journal:
    """The record of one sender. `sent` counts predictions, `labels` are in the order of sending, and `unknown` are the
    ids that /update did not know. `faults` are answers that must never occur; `interrupted` counts requests without an
    answer, `cut` those with an incomplete one."""

    sent: int = 0
    unavailable: int = 0
    interrupted: int = 0
    cut: int = 0
    acknowledged: list[Acknowledged] = field(default_factory=list)
    labels: list[Labelled] = field(default_factory=list)
    unknown: list[ObservationId] = field(default_factory=list)
    answered_at: float = 0.0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Sender:
    """One client with a persistent connection and a journal. A request that is not acknowledged must be repeated."""

    def __init__(self, port: int, journal: Journal) -> None:
        self._journal = journal
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def is_acknowledged(self, id_: ObservationId, passenger: int) -> bool:
        """Sends a prediction once and returns whether the answer was 200."""
        return self._is_recorded([(id_, passenger)], is_array=False)

    def are_acknowledged(self, predictions: Sequence[tuple[ObservationId, int]]) -> bool:
        """The same for an array of predictions, each an id and the index of its passenger."""
        return self._is_recorded(predictions, is_array=True)

    def _is_recorded(self, predictions: Sequence[tuple[ObservationId, int]], *, is_array: bool) -> bool:
        self._journal.sent += len(predictions)
        asked_at = time.time()
        items = [{"id": id_, "observation": PASSENGERS[passenger]} for id_, passenger in predictions]
        try:
            answer = self._sent("/predict", items if is_array else items[0])
        except ConnectionRefusedError:
            self._journal.sent -= len(predictions)
            return False
        if answer is None or not self._is_good(answer):
            return False
        replayed = answer.headers.get("Idempotent-Replayed") == "true"
        version = answer.headers.get("X-Model-Version")
        body = json.loads(answer.body)
        for (id_, passenger), item in zip(predictions, body if is_array else [body], strict=True):
            self._journal.acknowledged.append(Acknowledged(id_, passenger, item, replayed, version, asked_at))
        self._journal.answered_at = time.monotonic()
        return True

    def labels(self, id_: ObservationId, label: bool) -> Labelled:
        """A label to be sent, in the journal."""
        self._journal.labels.append(Labelled(id_, label))
        return self._journal.labels[-1]

    def is_labelled(self, labelled: Labelled) -> bool:
        """Sends a label once and returns whether the answer was 200, or 404, which ends the labels of this id."""
        try:
            answer = self._sent("/update", {"id": labelled.id, "true_class": labelled.label})
        except ConnectionRefusedError:
            return False
        if answer is not None and answer.status == 404:
            self._journal.unknown.append(labelled.id)
            return True
        if answer is None or not self._is_good(answer):
            return False
        labelled.answer = json.loads(answer.body)
        return True

    def are_labelled(self, labels: Sequence[Labelled]) -> bool:
        """Sends labels of different ids as one array, and returns whether the answer was 200. If /update does not know
        one of the ids, it sends each label alone, once."""
        body = [{"id": one.id, "true_class": one.label} for one in labels]
        try:
            answer = self._sent("/update", body)
        except ConnectionRefusedError:
            return False
        if answer is not None and answer.status == 404:
            alone = [self.is_labelled(one) for one in labels if one.answer is None]
            return all(alone)
        if answer is None or not self._is_good(answer):
            return False
        for one, item in zip(labels, json.loads(answer.body), strict=True):
            one.answer = item
        return True

    def _sent(self, path: str, body: Any) -> _Answer | None:
        """The answer, or None if there is none. Raises ConnectionRefusedError."""
        journal = self._journal
        began = time.monotonic()
        try:
            self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = _Answer(response.status, response.headers, response.read())
        except http.client.IncompleteRead:
            journal.cut += 1
        except ConnectionRefusedError:
            self._connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            journal.interrupted += 1
            if isinstance(error, TimeoutError):
                journal.faults["no answer in time"] += 1
        else:
            journal.slowest = max(journal.slowest, time.monotonic() - began)
            return answer
        self._connection.close()
        return None

    def _is_good(self, answer: _Answer) -> bool:
        """Whether it is a 200; counts anything else."""
        if answer.status == 200:
            return True
        is_problem = answer.headers.get_content_type() == "application/problem+json"
        if answer.status == 503 and answer.headers.get("Retry-After") and is_problem:
            self._journal.unavailable += 1
        else:
            self._journal.faults[f"status {answer.status}"] += 1
        return False
