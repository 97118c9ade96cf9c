"""What the history of promotions says to the watch: which promotion is watched, and which models it rolled back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.storage.models.promotions import Promotions

BY = "watch"  # who promotes, in the history

_WATCHED_FOR = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Watched:
    """A promotion that is watched: its id, the champion, the one before it, and when it was promoted."""

    promotion: int
    champion: str
    previous: str
    since: datetime


def watched(promotions: Promotions, now: datetime) -> Watched | None:
    """The newest promotion, by whomever, if it is at most 14 days old and there was a champion before it. A rollback is
    not watched."""
    for entry in promotions.newest(1):
        if entry.undoes is None and entry.from_version is not None and now - entry.promoted_at <= _WATCHED_FOR:
            return Watched(entry.id, entry.to_version, entry.from_version, entry.promoted_at)
    return None


def may_promote_automatically(promotions: Promotions, version: str) -> bool:
    """Whether a program may promote a version: not if it was ever rolled back, by the watch or by a person. People may.
    Raises Unavailable."""
    history = promotions.history()
    undone = {entry.undoes for entry in history}
    return all(entry.id not in undone for entry in history if entry.to_version == version)
