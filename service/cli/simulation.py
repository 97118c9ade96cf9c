"""Simulated traffic: requests predictions at a steady rate and sends the true labels later, so that a newcomer sees
/performance and /drift change. Or it fills the log, with each label at once."""

import hashlib
import heapq
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import numpy as np

from serialize.signature import Signature
from serialize.task import Label, Task
from service.cli.shift import Shift
from service.client import Client, NotJson, Refused
from service.demo import SourceRows

Progress = Callable[[str, int], None]
Source = Callable[[int, int], SourceRows]  # from a number of rows and a seed

_LABELS_AT_ONCE = 100


class SimulationError(ValueError):
    """The simulation cannot run against this service; the message says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """The model that a service serves, and the time of the service in ISO 8601; None if it sends no Date header."""

    name: str
    task: Task
    signature: Signature
    now: str | None

    @classmethod
    def of(cls, client: Client) -> "Served":
        """Reads GET /model. Raises SimulationError and NoAnswer."""
        try:
            reply = client.get("/model")
        except Refused as refused:
            _require_access(refused)
            raise SimulationError(f"GET /model returned {_name(refused)}") from refused
        try:
            card = reply.body
            task, signature = Task.from_json(card), Signature.from_json(card["signature"])
            now = parsedate_to_datetime(reply.date).isoformat() if reply.date else None
            return cls(card["name"], task, signature, now)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SimulationError("GET /model returned no model card of this service.") from None


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """An observation with its id, its true class or value, and the delay of this label in seconds, None for never. A
    row whose true class is unknown is never labelled."""

    id: str
    observation: dict[str, Any]
    target: Label | None
    delay: float | None


@dataclass(slots=True)
class Outcome:
    """The counts of a run; `refusals` maps status and title to their number and the detail of the first."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    labelled: int = 0
    seconds: float = 0.0
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)


def rows(
    served: Served,
    source: Source,
    count: int,
    *,
    shifts: Sequence[str] = (),
    delay: float = 5.0,
    label_share: float = 0.9,
    seed: int = 0,
) -> list[PlannedRow]:
    """`count` shifted rows of the source, repeated in another order if it has fewer. Their ids are new at each call.
    Labels have a mean delay of `delay` seconds, and at most twice that. Raises ShiftError, and what the source
    raises."""
    generator = np.random.default_rng(seed)
    changes = [Shift.parse(text, served.signature) for text in shifts]
    observations: list[dict[str, Any]] = []
    targets: list[Label | None] = []
    while (missing := count - len(targets)) > 0:
        part = source(missing, seed)
        observations += part.observations
        targets += part.targets
        seed += 1
    for shift in changes:
        values = shift.change([one[shift.column] for one in observations], generator)
        for one, value in zip(observations, values, strict=True):
            one[shift.column] = value
    labelled = generator.random(count) < label_share
    delays = generator.uniform(0, 2 * delay, count)
    run = uuid4().hex[:12]
    return [
        PlannedRow(
            f"sim-{run}-{i}", observation, target, float(delays[i]) if labelled[i] and target is not None else None
        )
        for i, (observation, target) in enumerate(zip(observations, targets, strict=True))
    ]


def seed_rows(found: SourceRows) -> list[PlannedRow]:
    """The rows, each to be labelled at once. The same rows get the same ids at each call, so that a repetition changes
    nothing."""
    return [
        PlannedRow(f"seed-{i}-{_digest(observation)}", observation, target, None if target is None else 0.0)
        for i, (observation, target) in enumerate(zip(found.observations, found.targets, strict=True))
    ]


def run(client: Client, task: Task, planned: Sequence[PlannedRow], rate: float, progress: Progress) -> Outcome:
    """Sends up to `rate` rows per second, as far as the service keeps up, and each label after its delay. Calls
    `progress` with "asked" or "labelled" and the number of new rows. Raises NoAnswer, and SimulationError if the
    service refuses the key."""
    began = time.monotonic()
    traffic = _Traffic(client, task, progress)
    for i, row in enumerate(planned):
        traffic.label_until(began + i / rate)
        traffic.predict(row)
    while traffic.due:
        traffic.label_until(traffic.due[0][0])
    traffic.outcome.seconds = time.monotonic() - began
    return traffic.outcome


def reports(client: Client, since: str | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The bodies of /performance and /drift for the predictions since a time; None for an error response."""
    selection = f"?since={quote(since)}" if since else ""
    return _report(client, f"/performance{selection}"), _report(client, f"/drift{selection}")


def _report(client: Client, path: str) -> dict[str, Any] | None:
    try:
        return client.get(path).body  # type: ignore[no-any-return]
    except Refused:
        return None


class _Traffic:
    """Sends rows and counts the responses. `due` is a heap of labels: (time.monotonic, id, label)."""

    def __init__(self, client: Client, task: Task, progress: Progress) -> None:
        self.outcome = Outcome()
        self.due: list[tuple[float, str, Label | None]] = []
        self._client = client
        self._progress = progress
        self._is_regression = task.kind == "regression"

    def predict(self, row: PlannedRow) -> None:
        self.outcome.sent += 1
        try:
            self._client.predict(row.id, row.observation)
        except Refused as refused:
            self._count(refused)
            self.outcome.refused += 1
        except NotJson as error:
            self._add("not sent", str(error))
            self.outcome.refused += 1
        else:
            self.outcome.answered += 1
            if row.delay is not None:
                heapq.heappush(self.due, (time.monotonic() + row.delay, row.id, row.target))
        self._progress("asked", 1)

    def label_until(self, end: float) -> None:
        """Sends labels as they become due, and returns at the time `end`."""
        while True:
            now = time.monotonic()
            ready: list[tuple[str, Any]] = []
            while self.due and self.due[0][0] <= now and len(ready) < _LABELS_AT_ONCE:
                _, id_, target = heapq.heappop(self.due)
                ready.append((id_, target))
            if ready:
                self._update(ready)
                self._progress("labelled", len(ready))
            elif now >= end:
                return
            else:
                time.sleep(min(end, self.due[0][0] if self.due else end) - now)

    def _update(self, labels: list[tuple[str, Any]]) -> None:
        try:
            if self._is_regression:
                self.outcome.labelled += self._client.update_many(true_values=labels)
            else:
                self.outcome.labelled += self._client.update_many(labels)
        except Refused as refused:
            self.outcome.labelled += refused.stored
            self._count(refused)

    def _count(self, refused: Refused) -> None:
        _require_access(refused)
        self._add(_name(refused), refused.detail)

    def _add(self, reason: str, detail: str) -> None:
        times, first = self.outcome.refusals.get(reason, (0, detail))
        self.outcome.refusals[reason] = times + 1, first


def _require_access(refused: Refused) -> None:
    if refused.status in (401, 403):
        raise SimulationError(f"The service requires a key: set API_KEY or give --api-key ({refused.status}).")


def _name(refused: Refused) -> str:
    return f"{refused.status} {refused.title}"


def _digest(observation: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(observation, sort_keys=True).encode()).hexdigest()[:12]
