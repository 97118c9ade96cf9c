"""How often challengers were judged: the more attempts since a promotion, the stricter the gate."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from service.storage.models.promotions import Promoted
from service.storage.models.store import INCOMING, REGISTERED, StoredModel

NOT_ENOUGH = "not enough"  # a verdict that compared nothing, and so is no attempt


class Attempt(NamedTuple):
    """The number of the next attempt, from 1, and when the last one was, if there was one."""

    number: int
    last: datetime | None


def next_attempt(models: Iterable[StoredModel], history: Iterable[Promoted]) -> Attempt:
    """The next attempt, by the verdicts that are stored with the models. It counts from the last promotion on. A model
    whose files are not all stored is no attempt: its retraining was killed, and repeats the same judgement. One that
    was judged again has only its newest verdict, so the number that this one had counts too."""
    promoted = max((entry.promoted_at for entry in history), default=None)
    judged = [
        (datetime.fromisoformat(verdict["judged_at"]), int(verdict.get("figures", {}).get("attempt", 1)))
        for _, verdict in _stored(models)
        if "judged_at" in verdict and verdict["outcome"] != NOT_ENOUGH
    ]
    since = [number for moment, number in judged if promoted is None or moment > promoted]
    last = max((moment for moment, _ in judged), default=None)
    return Attempt(max(len(since), *since, 0) + 1, last)


def judged_by(models: Iterable[StoredModel], job: int) -> StoredModel | None:
    """The model whose verdict a job has stored, or None."""
    return next((model for model, verdict in _stored(models) if verdict.get("job") == job), None)


def waiting_challenger(models: Iterable[StoredModel], history: Iterable[Promoted], champion: str) -> StoredModel | None:
    """The newest challenger that was found better than this champion and was never promoted, or None. `models` are the
    newest first. A retraining that was killed between its last two steps leaves one, and so does one without
    `promote`."""
    promoted = {entry.to_version for entry in history}
    for model in models:
        if model.state == REGISTERED and model.verdict is not None and model.version not in promoted:
            verdict = json.loads(model.verdict)
            is_better = verdict["outcome"] == "better" and verdict["champion"] == champion
            return model if is_better else None
    return None


def _stored(models: Iterable[StoredModel]) -> Iterator[tuple[StoredModel, dict[str, Any]]]:
    """The models that have a verdict and are stored whole, with the verdict."""
    for model in models:
        if model.verdict is not None and model.state != INCOMING:
            yield model, json.loads(model.verdict)
