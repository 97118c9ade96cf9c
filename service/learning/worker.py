"""The loop of `python -m service worker`. It takes jobs one after the other. A child process works on each, so that a
long computation cannot keep this process from reporting that the job lives."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from service.errors import Unavailable
from service.learning.child import STOPPED
from service.learning.pace import Pace
from service.learning.process import end
from service.learning.rounds import Rounds
from service.storage.learning.jobs import FAILED, MOST_ATTEMPTS, JobStore, StoredJob
from service.telemetry.log_format import event

_POLL_SECONDS = 1.0
_BEAT_SECONDS = 5.0
_LONGEST_SECONDS = 10.0  # between two looks while the database is away
_STOPPED = (STOPPED, -signal.SIGTERM)

_log = logging.getLogger("service")


class Worker:
    """Does the jobs of a store until `stop`. `name` is unique among the workers that live. `command` starts a child; it
    gets the id of the job, the attempt, and the id of this process. `newest` returns the greatest id of the log, by
    which the child is paced. `rounds` are begun while no job waits."""

    def __init__(
        self, jobs: JobStore, name: str, command: Sequence[str], newest: Callable[[], int], rounds: Rounds | None = None
    ) -> None:
        self._jobs = jobs
        self._name = name
        self._command = tuple(command)
        self._newest = newest
        self._rounds = rounds
        self._is_stopping = False
        self._is_away = False
        self._seen_at = float("-inf")

    def stop(self) -> None:
        """Makes `run` return within seconds. A signal handler may call it."""
        self._is_stopping = True

    def run(self) -> None:
        """Takes jobs until it is stopped. Then the job that runs goes back to the others that wait."""
        event(_log, logging.INFO, "worker-start", worker=self._name)
        pause = _POLL_SECONDS
        while not self._is_stopping:
            try:
                self._greet()
                job = self._jobs.claim(self._name)
                if job is None and self._rounds is not None:
                    self._rounds.round()
            except Unavailable as error:
                self._note_database(error)
                pause = min(2 * pause, _LONGEST_SECONDS)
                self._sleep(pause)
                continue
            self._note_database(None)
            pause = _POLL_SECONDS
            if job is None:
                self._sleep(pause)
            else:
                self._do(job)
        if self._rounds is not None:
            self._rounds.stop()
        with suppress(Unavailable):
            self._jobs.forget_worker(self._name)
        event(_log, logging.INFO, "worker-stop", worker=self._name)

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_stopping and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_SECONDS))

    def _greet(self) -> None:
        """Notes that this worker lives, from time to time."""
        now = time.monotonic()
        if now - self._seen_at >= _BEAT_SECONDS:
            self._jobs.saw_worker(self._name)
            self._seen_at = now

    def _do(self, job: StoredJob) -> None:
        began = time.monotonic()
        event(_log, logging.INFO, "job-start", job=job.id, kind=job.kind, attempt=job.attempt)
        command = [*self._command, str(job.id), str(job.attempt), str(os.getpid())]
        try:
            # A session of its own, so that Ctrl-C in a terminal reaches only this process.
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            self._settle(job, f"The process of the job could not be started ({error.strerror}).")
        else:
            try:
                is_over = self._is_over(child, job)
            finally:
                end(child)
            if is_over:
                self._settle_ended(job, child.returncode)
            else:
                self._settle(job, None)
        event(
            _log, logging.INFO, "job-end", job=job.id, kind=job.kind, state=self._state(job.id),
            seconds=round(time.monotonic() - began, 1),
        )  # fmt: skip

    def _is_over(self, child: "subprocess.Popen[bytes]", job: StoredJob) -> bool:
        """Waits until the child has ended. Returns False if it must not go on: the job is not this worker's any more,
        or the worker stops."""
        pace, beaten = Pace(child, self._newest), time.monotonic()
        while not self._is_stopping:
            if pace.wait(_POLL_SECONDS):
                return True
            try:
                self._greet()
                if time.monotonic() - beaten < _BEAT_SECONDS:
                    is_held = self._jobs.is_held(job.id, job.attempt)
                else:
                    is_held, beaten = self._jobs.beat(job.id, job.attempt), time.monotonic()
            except Unavailable as error:
                self._note_database(error)
                continue
            self._note_database(None)
            if not is_held:
                return False
        return False

    def _settle_ended(self, job: StoredJob, status: int) -> None:
        """Ends a job whose child ended with this status, maybe without a result. SIGTERM comes from a platform that
        stops all processes, and may reach this one a moment later; or from the model, and then in each attempt."""
        if status not in _STOPPED:
            self._settle(job, _ending(status))
            return
        self._sleep(_POLL_SECONDS)
        if self._is_stopping or job.attempt < MOST_ATTEMPTS:
            self._settle(job, None, counts=not self._is_stopping)
        else:
            self._settle(job, "SIGTERM ended the process of the job in each attempt.")

    def _settle(self, job: StoredJob, reason: str | None, *, counts: bool = False) -> None:
        """Ends a job whose child did not: as failed for this reason, or without one back to the others that wait. Its
        attempt then counts, or is as if it had not been."""
        pause = _POLL_SECONDS
        while True:
            try:
                if reason is None:
                    self._jobs.give_back(job.id, job.attempt, counts=counts)
                else:
                    self._jobs.finish(job.id, job.attempt, FAILED, error=reason)
            except Unavailable as error:
                self._note_database(error)
                if self._is_stopping:
                    return  # another worker takes the job when its heartbeat is old
                self._sleep(pause)
                pause = min(2 * pause, _LONGEST_SECONDS)
            else:
                return

    def _state(self, id_: int) -> str | None:
        with suppress(Unavailable):
            return self._jobs.job(id_).state
        return None

    def _note_database(self, error: Unavailable | None) -> None:
        if (error is not None) != self._is_away:
            self._is_away = error is not None
            level, name = (logging.WARNING, "worker-away") if error else (logging.INFO, "worker-back")
            event(_log, level, name, reason=error and error.reason)


def _ending(status: int) -> str:
    """Why a job failed whose child ended with this status without a result."""
    if status < 0:
        name = signal.Signals(-status).name if -status in list(signal.Signals) else "an unknown signal"
        return f"The process of the job was ended by {name}, perhaps for lack of memory."
    return f"The process of the job ended with status {status} and no result; the log of the worker has the cause."
