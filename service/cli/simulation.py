"""A client of the served model as there are many: asks for predictions at a steady rate, and says later what was true.
So a newcomer sees /performance and /drift move."""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import numpy as np

from serialize.signature import Signature
from serialize.task import Label, Task
from service.cli.shift import Shift
from service.client import HttpClient, Reply
from service.demo import RecipeRows, Recipes, fitting

Progress = Callable[[str, int], None]

_LABELS_AT_ONCE = 100


class SimulationError(ValueError):
    """The simulation cannot be run against this service; the message says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """The model that a service says it serves, and the time there, in ISO 8601 (None where it does not say)."""

    name: str
    task: Task
    signature: Signature
    now: str | None

    @classmethod
    def of(cls, client: HttpClient) -> "Served":
        """What GET /model says. Raises SimulationError and NoAnswer."""
        reply = client.get("/model")
        if reply.status != 200:
            raise SimulationError(f"GET /model is answered {_refusal(reply)}")
        try:
            card = reply.body
            task, signature = Task.from_json(card), Signature.from_json(card["signature"])
            now = parsedate_to_datetime(reply.date).isoformat() if reply.date else None
            return cls(card["name"], task, signature, now)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SimulationError("GET /model is not answered as this service does.") from None


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """An observation under its id, what is true of it, and after how many seconds that is known; None for never."""

    id: str
    observation: dict[str, Any]
    target: Label
    delay: float | None


@dataclass(slots=True)
class Outcome:
    """What became of the rows; `refusals` has by status and title how often, and the detail of the first."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    labelled: int = 0
    seconds: float = 0.0
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)


def rows(
    served: Served,
    recipes: Recipes,
    count: int,
    *,
    shifts: Sequence[str] = (),
    delay: float = 5.0,
    label_share: float = 0.9,
    seed: int = 0,
) -> list[PlannedRow]:
    """So many rows of the recipe that fits, shifted; when they are used up they come again in another order. Their ids
    are new at each call. Labels come after `delay` seconds on average and at most twice that. Raises SimulationError
    where no recipe fits, and ShiftError."""
    generator = np.random.default_rng(seed)
    changes = [Shift.parse(text, served.signature) for text in shifts]
    found = [pair for part in _parts(served, recipes, count, seed) for pair in _pairs(part)][:count]
    observations = [dict(observation) for observation, _ in found]
    for shift in changes:
        values = shift.change([one[shift.column] for one in observations], generator)
        for one, value in zip(observations, values, strict=True):
            one[shift.column] = value
    labelled = generator.random(count) < label_share
    waits = generator.uniform(0, 2 * delay, count).tolist()
    delays = [wait if known else None for wait, known in zip(waits, labelled.tolist(), strict=True)]
    run = uuid4().hex[:12]
    targets = [target for _, target in found]
    return [
        PlannedRow(f"sim-{run}-{i}", observation, target, after)
        for i, (observation, target, after) in enumerate(zip(observations, targets, delays, strict=True))
    ]


def run(client: HttpClient, task: Task, planned: Sequence[PlannedRow], rate: float, progress: Progress) -> Outcome:
    """Sends the rows, so many a second as far as the service answers as fast, and their labels when they are due;
    `progress` is told how many more were "asked" for and "labelled". Raises NoAnswer, and SimulationError where the
    key is refused."""
    outcome, due, began = Outcome(), list[tuple[float, int]](), time.monotonic()
    true = "true_value" if task.kind == "regression" else "true_class"
    for i, row in enumerate(planned):
        _label(client, planned, due, began + i / rate, true, outcome, progress)
        answered = _predict(client, row, outcome)
        progress("asked", 1)
        if answered and row.delay is not None:
            heapq.heappush(due, (time.monotonic() + row.delay, i))
    while due:
        _label(client, planned, due, due[0][0], true, outcome, progress)
    outcome.seconds = time.monotonic() - began
    return outcome


def score(client: HttpClient, since: str | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What /performance and /drift say of what was answered since; None where they do not answer."""
    selection = f"?since={quote(since)}" if since else ""
    replies = [client.get(f"{path}{selection}") for path in ("/performance", "/drift")]
    performance, drift = (reply.body if reply.status == 200 else None for reply in replies)
    return performance, drift


def _parts(served: Served, recipes: Recipes, count: int, seed: int) -> Iterator[RecipeRows]:
    while count > 0:
        part = fitting(recipes, served.name, served.task, served.signature, count, seed)
        if part is None:
            raise SimulationError(
                f"No built-in data set fits the model {served.name}; there are rows for models of {', '.join(recipes)}."
            )
        yield part
        count, seed = count - len(part.observations), seed + 1


def _pairs(part: RecipeRows) -> Iterator[tuple[dict[str, Any], Label]]:
    return zip(part.observations, part.targets, strict=True)


def _predict(client: HttpClient, row: PlannedRow, outcome: Outcome) -> bool:
    reply = client.post("/predict", {"id": row.id, "observation": row.observation})
    outcome.sent += 1
    if reply.status == 200:
        outcome.answered += 1
        return True
    _note(reply, outcome)
    outcome.refused += 1
    return False


def _label(
    client: HttpClient,
    planned: Sequence[PlannedRow],
    due: list[tuple[float, int]],
    until: float,
    true: str,
    outcome: Outcome,
    progress: Progress,
) -> None:
    """Sends the labels that fall due until a moment, and returns then."""
    while True:
        now = time.monotonic()
        ready: list[PlannedRow] = []
        while due and due[0][0] <= now and len(ready) < _LABELS_AT_ONCE:
            ready.append(planned[heapq.heappop(due)[1]])
        if ready:
            _update(client, [{"id": row.id, true: row.target} for row in ready], outcome)
            progress("labelled", len(ready))
        elif now >= until:
            return
        else:
            time.sleep(max(0.0, min([until, *(moment for moment, _ in due[:1])]) - now))


def _update(client: HttpClient, labels: list[dict[str, Any]], outcome: Outcome) -> None:
    reply = client.post("/update", labels)
    if reply.status == 200:
        outcome.labelled += len(labels)
    elif reply.status == 413 and len(labels) > 1:  # it takes fewer at once
        for label in labels:
            _update(client, [label], outcome)
    else:
        _note(reply, outcome)


def _note(reply: Reply, outcome: Outcome) -> None:
    if reply.status in (401, 403):
        raise SimulationError(f"The service asks for a key: set API_KEY or give --api-key ({reply.status}).")
    reason = _refusal(reply)
    times, first = outcome.refusals.get(reason, (0, _detail(reply)))
    outcome.refusals[reason] = times + 1, first


def _refusal(reply: Reply) -> str:
    """The status with the title of the problem."""
    title = reply.body.get("title") if isinstance(reply.body, dict) else None
    return f"{reply.status} {title or ''}".strip()


def _detail(reply: Reply) -> str:
    return str(reply.body.get("error", "")) if isinstance(reply.body, dict) else ""
