"""The worker ends children that must not go on, and every job that it took has an end."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.errors import Unavailable
from service.learning.worker import Worker, _ending
from service.storage.connection import connect
from service.storage.learning.jobs import CANCELLED, FAILED, QUEUED, RUNNING, JobStore
from service.storage.session import Session
from tests.support.waiting import until

SECONDS = 20  # much less than the 60 s after which a job is lost


@contextmanager
def worker(database_url: str, script: str) -> Iterator[Worker]:
    """A worker in a thread, whose children are Python programs with this source."""
    session = Session(connect(database_url))
    made = Worker(JobStore(session), "here:1", (sys.executable, "-c", script), lambda: 0)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.stop()
        thread.join()
        session.close()


@pytest.fixture
def jobs(session: Session) -> JobStore:
    return JobStore(session)


def hanging(note: Path, *, stubborn: bool = False) -> str:
    """A program that writes its process id to a file and then hangs. A stubborn one ignores SIGTERM and has a child."""
    start = "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork()" if stubborn else "pass"
    return (
        f"import os, signal, time; {start}\n"
        f"with open({str(note)!r}, 'a') as file: file.write(f'{{os.getpid()}}\\n')\n"
        "time.sleep(600)"
    )


def processes(note: Path) -> list[int]:
    return list(map(int, note.read_text().split())) if note.exists() else []


def end(note: Path) -> None:
    """Waits until the processes of a note have ended."""
    until(lambda: not any(psutil.pid_exists(pid) for pid in processes(note)), SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_cancelled_job_ends_its_process_within_seconds(
    jobs: JobStore, database_url: str, tmp_path: Path, stubborn: bool
) -> None:
    note, number = tmp_path / "note", 2 if stubborn else 1
    added = jobs.add("any", {}, "me")
    with worker(database_url, hanging(note, stubborn=stubborn)):
        until(lambda: len(processes(note)) == number)
        began = time.monotonic()
        jobs.cancel(added)
        end(note)
        assert time.monotonic() - began < SECONDS

    assert jobs.job(added).state == CANCELLED


@pytest.mark.long
def test_a_worker_that_stops_gives_its_job_back(jobs: JobStore, database_url: str, tmp_path: Path) -> None:
    note = tmp_path / "note"
    added = jobs.add("any", {}, "me")
    with worker(database_url, hanging(note)) as running:
        until(lambda: bool(processes(note)))
        assert jobs.job(added).state == RUNNING
        assert jobs.worker_seen() is not None
        running.stop()
        end(note)

    assert (jobs.job(added).state, jobs.job(added).attempt) == (QUEUED, 0)
    assert jobs.worker_seen() is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("raise SystemExit(3)", "status 3"),
        ("pass", "status 0"),
    ],
)
def test_a_child_that_ends_without_a_result_fails_its_job(
    jobs: JobStore, database_url: str, script: str, reason: str
) -> None:
    added = jobs.add("any", {}, "me")
    with worker(database_url, script):
        until(lambda: jobs.job(added).state == FAILED)

    assert reason in str(jobs.job(added).error)


@pytest.mark.parametrize(("status", "reason"), [(-9, "SIGKILL"), (-99, "an unknown signal"), (9, "status 9")])
def test_the_end_of_a_child_is_named(status: int, reason: str) -> None:
    assert reason in _ending(status)


def test_a_program_that_cannot_be_started_fails_its_job(jobs: JobStore, session: Session) -> None:
    added = jobs.add("any", {}, "me")
    made = Worker(jobs, "here:1", ("/no/such/program",), lambda: 0)
    stopper = threading.Timer(0.5, made.stop)
    stopper.start()
    made.run()
    stopper.join()

    assert "could not be started" in str(jobs.job(added).error)


def test_a_job_that_comes_while_the_worker_waits_is_taken(
    jobs: JobStore, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.learning.worker._POLL_SECONDS", 0.05)
    waiting = threading.Event()

    class Waiting:
        def round(self) -> None:
            if waiting.is_set():
                jobs.add("any", {}, "me")
            waiting.set()

        def stop(self) -> None:
            pass

    made = Worker(jobs, "here:1", ("/no/such/program",), lambda: 0, Waiting())  # type: ignore[arg-type]
    stopper = threading.Timer(1.0, made.stop)
    stopper.start()
    made.run()
    stopper.join()

    assert FAILED in {job.state for job in jobs.newest(10)}


def away_at_first(times: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """A method that cannot use the database so many times, and then does what another one does."""
    left = [None] * times

    def method(*arguments: Any) -> Any:
        if left:
            left.pop()
            raise Unavailable("gone", reason="OperationalError")
        return then(*arguments)

    return method


@pytest.mark.parametrize("method", ["claim", "is_held"])  # while it looks for a job, and while one runs
def test_a_database_that_is_away_for_a_while_ends_no_job_and_is_told_once(
    jobs: JobStore,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    monkeypatch.setattr("service.learning.worker._POLL_SECONDS", 0.05)
    monkeypatch.setattr(JobStore, method, away_at_first(3, getattr(JobStore, method)))
    caplog.set_level("INFO")
    added = jobs.add("any", {}, "me")
    with worker(database_url, "import time; time.sleep(0.4)"):
        until(lambda: jobs.job(added).state == FAILED)

    assert "ended with status 0 and no result" in str(jobs.job(added).error)
    assert [each.getMessage() for each in caplog.records if "worker-" in each.getMessage()] == [
        "worker-start",
        "worker-away",
        "worker-back",
        "worker-stop",
    ]


@pytest.mark.long
def test_a_child_that_is_stopped_gives_its_job_back_once(jobs: JobStore, database_url: str, tmp_path: Path) -> None:
    note = tmp_path / "note"
    added = jobs.add("any", {}, "me")
    with worker(database_url, hanging(note)):
        until(lambda: bool(processes(note)))
        (first,) = processes(note)
        os.kill(first, 15)
        until(lambda: len(processes(note)) == 2)
        assert jobs.job(added).attempt == 2
        os.kill(processes(note)[1], 15)
        until(lambda: jobs.job(added).state == FAILED)

    assert jobs.job(added).error == "SIGTERM ended the process of the job in each attempt."


@pytest.mark.long
def test_a_child_that_is_stopped_shortly_before_its_worker_keeps_its_attempts(
    jobs: JobStore, database_url: str, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    added = jobs.add("any", {}, "me")
    with worker(database_url, hanging(note)) as running:
        until(lambda: bool(processes(note)))
        os.kill(processes(note)[0], 15)
        running.stop()

    assert (jobs.job(added).state, jobs.job(added).attempt) == (QUEUED, 0)
