"""The watch: after a promotion it compares the champion with the one before it on rows labelled since, and makes that
one the champion again if the new one is significantly worse."""

import logging
from datetime import datetime, timedelta

from service.errors import InvalidQuery
from service.learning.comparison import read_pairs
from service.learning.gate.levels import labels_of_look, looks
from service.learning.gate.losses import GateError
from service.learning.gate.watch import WatchDecision, watch_decision
from service.learning.watched import BY, Watched
from service.monitoring.drift import ModelVersion
from service.registry.registry import Registry
from service.storage.learning.pairs import LabelledRows
from service.storage.learning.scores import ShadowScores
from service.storage.session import Session
from service.telemetry.log_format import event

_AT_MOST_ONCE_IN = timedelta(days=1)
_NEWEST = 100

_log = logging.getLogger("service")


def look(registry: Registry, session: Session, found: Watched, least: int = 0) -> WatchDecision | None:
    """The newest look that is due, at the first 200, 400, 800, ... rows labelled since the promotion that both models
    answered; None if it is not above the number `least`, or if the models cannot be compared. Raises ArtifactError for
    a manifest that is not signed, and Unavailable."""
    labelled = session.read(lambda: ShadowScores(session.database).labelled(found.since))
    if looks(labelled) <= least:
        return None
    champion, previous = (ModelVersion(one, registry.manifest(one)) for one in (found.champion, found.previous))
    wanted = LabelledRows(labelled_since=found.since)
    try:
        pairs = session.read(lambda: read_pairs(session.database, champion, previous, wanted))
    except InvalidQuery:  # another task
        return None
    number = looks(len(pairs))
    if number <= least:
        return None
    task, chosen = champion.manifest.task, pairs.earliest(labels_of_look(number))
    positive = task.positive_index if task.kind == "binary" else 1
    try:
        return watch_decision(number, task.kind, chosen.truth, chosen.first, chosen.second, positive=positive)
    except GateError:  # errors that are too large to be squared
        return None


def act(registry: Registry, found: Watched, decision: WatchDecision, now: datetime) -> bool:
    """Rolls back a champion that is worse, once a day at most. Returns whether the look is done with: not if it must be
    repeated, because the day is not over. Raises ModelConflict if the champion cannot be rolled back, and
    Unavailable."""
    event(
        _log, logging.INFO, "watch-look", version=found.champion, previous=found.previous, look=decision.look,
        reason=decision.reason,
    )  # fmt: skip
    if not decision.is_worse:
        return True
    newest = registry.promotions.newest(_NEWEST)
    if any(entry.promoted_by == BY and now - entry.promoted_at < _AT_MOST_ONCE_IN for entry in newest):
        return False
    registry.rollback(BY, decision.reason, decision.to_json(), of=found.promotion)
    event(
        _log, logging.WARNING, "watch-rollback", version=found.previous, before=found.champion, reason=decision.reason
    )
    return True
