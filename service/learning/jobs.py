"""The jobs for programs, as JSON."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from service.errors import CannotLearn, JobConflict
from service.learning.kinds import RETRAIN
from service.storage.learning.jobs import LOST_SECONDS, JobStore
from service.telemetry.log_format import event

_NO_WORKER = (
    f"No worker was seen for {LOST_SECONDS} s, so nothing would do the job; start one with `python -m service worker`."
)

_log = logging.getLogger("service")


class Jobs:
    """For many callers: the session of the `store` takes them in turn. `refusal` says why no model can be trained, or
    None. Every method raises Unavailable if the database cannot be used now."""

    def __init__(self, store: JobStore, refusal: Callable[[], str | None]) -> None:
        self._store = store
        self._refusal = refusal

    def retrain(self, arguments: Mapping[str, Any], by: str) -> dict[str, Any]:
        """Queues a retraining and returns its job. Raises CannotLearn with the reason, and JobConflict if no worker
        was seen lately, or if one is queued or running."""
        reason = self._refusal()
        if reason is not None:
            raise CannotLearn(reason)
        seen = self._store.worker_seen()
        if seen is None or seen > LOST_SECONDS:
            raise JobConflict(_NO_WORKER)
        added = self._store.add(RETRAIN, arguments, by)
        event(_log, logging.INFO, "job-queued", job=added, kind=RETRAIN, by=by)
        return self._store.job(added).to_json()

    def figures(self) -> dict[str, Any]:
        """What GET /metrics shows; see `JobStore.figures`."""
        return self._store.figures()

    def listed(self, limit: int) -> dict[str, Any]:
        """Up to `limit` jobs, the newest first, and how many seconds ago a worker was seen."""
        seen = self._store.worker_seen()
        return {
            "jobs": [job.to_json() for job in self._store.newest(limit)],
            "worker_seen": None if seen is None else round(seen, 1),
        }

    def described(self, id_: int) -> dict[str, Any]:
        """A job. Raises UnknownJob."""
        return self._store.job(id_).to_json()

    def cancel(self, id_: int, by: str) -> dict[str, Any]:
        """Cancels a job and returns it. Raises UnknownJob, and JobConflict if it has ended."""
        cancelled = self._store.cancel(id_)
        event(_log, logging.INFO, "job-cancelled", job=id_, kind=cancelled.kind, by=by)
        return cancelled.to_json()
