"""The process that works on one job. Its parent, the worker, reports that the job lives, and ends this process if the
job is cancelled."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from serialize.errors import ArtifactError, DumpError, one_line
from serialize.writing.parent import end_with
from service.errors import ServiceError, Unavailable
from service.learning.kinds import UnknownKind, kind_of
from service.learning.process import PATIENCE_SECONDS
from service.learning.reporter import Cancelled, Reporter
from service.process import LOWEST_PRIORITY
from service.registry.memory import limit_memory
from service.settings import Settings
from service.storage.connection import DatabaseError, database_of
from service.storage.learning.jobs import FAILED, SUCCEEDED, JobGone, JobStore
from service.storage.session import Session
from service.telemetry import log_format

STOPPED = 128 + signal.SIGTERM  # the exit status after SIGTERM

_TRIES, _PAUSE_SECONDS = 60, 2.0  # to store the result while the database is away

_log = logging.getLogger("service")


def main(kinds: Mapping[str, str], id_: int, attempt: int, parent: int) -> None:
    """Works on a job that a worker, the process `parent`, has claimed in this attempt, and stores its result or its
    error. Ends at once if the parent has ended, and on Linux when it ends; at SIGTERM with the status STOPPED."""
    signal.signal(signal.SIGTERM, _stop)
    end_with(parent)
    os.nice(LOWEST_PRIORITY)
    limit_memory()
    settings = Settings.from_env()
    log_format.configure(settings.log_level)
    session = Session(database_of(settings, None), PATIENCE_SECONDS)
    try:
        _Work(JobStore(session), session, id_, attempt, parent).run(kinds, settings)
    finally:
        session.close()


class _Work:
    """One attempt of one job."""

    def __init__(self, jobs: JobStore, session: Session, id_: int, attempt: int, parent: int) -> None:
        self._jobs = jobs
        self._session = session
        self._id, self._attempt = id_, attempt
        self._parent = parent

    def run(self, kinds: Mapping[str, str], settings: Settings) -> None:
        job = _patiently(lambda: self._jobs.job(self._id))
        reporter = Reporter(self._progress, self._require, self._session, self._id)
        try:
            result = kind_of(job.kind, kinds)(settings, job.arguments, reporter)
            self._finish(SUCCEEDED, result, None)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - whatever happens, the job tells
            log_format.event(
                _log, logging.ERROR, "job-error", job=self._id, exception=type(error).__name__,
                trace=log_format.frames(error.__traceback__),
            )  # fmt: skip
            self._finish(FAILED, None, _reason(error))

    def _progress(self, share: float, sentence: str) -> None:
        if os.getppid() != self._parent:
            sys.exit("the worker has ended")
        with suppress(Unavailable):  # the work need not stop because nobody can look at it
            if not self._jobs.beat(self._id, self._attempt, share, sentence):
                raise Cancelled

    def _require(self) -> None:
        try:
            self._jobs.require(self._id, self._attempt)
        except JobGone as error:
            raise Cancelled from error

    def _finish(self, state: str, result: Mapping[str, Any] | None, error: str | None) -> None:
        _patiently(lambda: self._jobs.finish(self._id, self._attempt, state, result, error))


def _patiently(call: Callable[[], Any]) -> Any:
    """What the call returns. It is repeated for about two minutes while the database is away."""
    for _ in range(_TRIES):
        try:
            return call()
        except Unavailable:
            time.sleep(_PAUSE_SECONDS)
    return call()


def _reason(error: Exception) -> str:
    """What the job shows of an error: what to do if it is known, otherwise its type. A message of another library may
    hold values of rows, which must not outlive the rows."""
    if isinstance(error, Unavailable):
        return f"The database could not be used while the job ran ({error.reason}); queue the job again."
    if isinstance(error, ServiceError):
        return error.detail
    if isinstance(error, MemoryError):
        return f"The work needs more memory than is free ({one_line(error)})."
    if isinstance(error, (ArtifactError, DumpError, DatabaseError, UnknownKind)) and str(error):
        return " ".join(str(error).split())
    return f"The work ended with {type(error).__name__}; the log of the worker says where."


def _stop(*_: object) -> None:
    sys.exit(STOPPED)
