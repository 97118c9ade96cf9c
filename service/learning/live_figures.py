"""What GET /metrics shows of learning: the jobs, the newest verdict of the gate, and the last rollback by the watch."""

from typing import Any

from service.learning.jobs import Jobs
from service.learning.watched import BY
from service.storage.learning.challenger import newest_verdict
from service.storage.models.promotions import Promotions
from service.storage.session import Session

_NEWEST = 100  # promotions, among which the last rollback is looked for


def live_figures(jobs: Jobs, promotions: Promotions, session: Session) -> dict[str, Any]:
    """The figures of the jobs; as `verdict` the version of the newest model that the gate judged and the outcome, and
    as `rolled_back_at` when the watch last undid a promotion, in seconds since 1970; each None if there was none.
    Raises Unavailable."""
    verdict = session.read(lambda: newest_verdict(session.database))
    newest = promotions.newest(_NEWEST)
    at = next((entry.promoted_at.timestamp() for entry in newest if entry.promoted_by == BY), None)
    return {**jobs.figures(), "verdict": verdict, "rolled_back_at": at}
