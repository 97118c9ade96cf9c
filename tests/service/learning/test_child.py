"""Real workers with real children: a job is done, fails with a reason, and survives the death of its worker."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from service.errors import Unavailable
from service.learning import child
from service.storage.learning.jobs import FAILED, QUEUED, RUNNING, SUCCEEDED, JobStore
from service.storage.learning.tables import Job
from service.storage.session import Session
from tests.support.passengers import PROJECT
from tests.support.served import environment
from tests.support.waiting import until

pytestmark = pytest.mark.long

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(database_url: str, session: Session, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker that knows the kinds of the tests. `session` has prepared the database."""
    started = []

    def worker() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.support.own_kinds"]
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=PROJECT, env=environment(DATABASE_URL=database_url), stdout=log, stderr=log
            )
        started.append(process)
        return process

    yield worker
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def jobs(session: Session) -> JobStore:
    return JobStore(session)


def test_jobs_end_as_their_work_does(jobs: JobStore, start: Start, tmp_path: Path) -> None:
    ids = {kind: jobs.add(kind, {"to": 3}, "me") for kind in ("count", "fail", "lose")}
    start()

    until(lambda: all(jobs.job(ids[kind]).state == FAILED for kind in ("fail", "lose")))

    counted = jobs.job(ids["count"])
    assert (counted.state, counted.result, counted.progress) == (SUCCEEDED, {"counted": 3}, 1.0)
    assert counted.message == "It counts 3."
    assert jobs.job(ids["fail"]).error == "The work ended with ValueError; the log of the worker says where."
    assert "queue the job again" in str(jobs.job(ids["lose"]).error)
    log = (tmp_path / "worker.log").read_text()
    assert "event=job-error" in log
    assert "nothing fits" not in log


def test_a_job_that_lost_the_database_says_so() -> None:
    error = Unavailable("The log cannot be written to now; repeat with the same id.", reason="OperationalError")

    assert child._reason(error) == (
        "The database could not be used while the job ran (OperationalError); queue the job again."
    )


def test_a_killed_worker_takes_its_child_with_it_and_another_takes_the_job(
    jobs: JobStore, start: Start, session: Session
) -> None:
    added = jobs.add("hang", {}, "me")
    first = start()
    working = psutil.Process(_hanging(jobs, added))
    first.kill()
    first.wait()
    psutil.wait_procs([working], timeout=10)
    assert not working.is_running()
    assert jobs.job(added).state == RUNNING
    silence = Job.update(heartbeat=datetime(2026, 1, 1, tzinfo=UTC))
    session.run(lambda: silence.execute(session.database))

    second = start()

    again = _hanging(jobs, added, attempt=2)
    assert again != working.pid
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    assert not psutil.pid_exists(again)
    assert (jobs.job(added).state, jobs.job(added).attempt) == (QUEUED, 1)


def _hanging(jobs: JobStore, id_: int, attempt: int = 1) -> int:
    """The process that works on a hanging job, once it does."""
    until(lambda: (jobs.job(id_).attempt, jobs.job(id_).progress) == (attempt, 0.5))
    return int(jobs.job(id_).message)
