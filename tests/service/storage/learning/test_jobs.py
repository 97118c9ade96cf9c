"""A job is done by one worker at a time, and only the newest attempt may write, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import JobConflict, UnknownJob
from service.storage.connection import connect
from service.storage.learning.jobs import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, JobGone, JobStore
from service.storage.learning.tables import Job, WorkerSeen
from service.storage.session import Session

ME, OTHER = "here:1", "there:2"


@pytest.fixture
def jobs(session: Session) -> JobStore:
    return JobStore(session)


def silence(session: Session, seconds: float) -> None:
    """Makes the heartbeat of all running jobs so old."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    session.run(lambda: Job.update(heartbeat=moment).where(Job.state == RUNNING).execute(session.database))


def test_a_job_is_queued_claimed_and_finished(jobs: JobStore) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    added = jobs.add("count", {"to": 3}, "me")
    assert jobs.job(added).state == QUEUED

    job = jobs.claim(ME)

    assert job is not None
    assert (job.id, job.kind, job.arguments, job.attempt, job.worker) == (added, "count", {"to": 3}, 1, ME)
    assert job.heartbeat is not None
    assert began < job.created_at <= job.heartbeat < datetime.now(UTC) + timedelta(seconds=5)
    assert jobs.beat(job.id, 1, 0.5, "half")
    assert (jobs.job(added).progress, jobs.job(added).message) == (0.5, "half")
    assert jobs.finish(job.id, 1, SUCCEEDED, {"counted": 3})
    done = jobs.job(added)
    assert (done.state, done.progress, done.result, done.error) == (SUCCEEDED, 1.0, {"counted": 3}, None)
    assert jobs.claim(ME) is None
    assert jobs.figures() == {
        "states": {QUEUED: 0, RUNNING: 0, SUCCEEDED: 1, FAILED: 0, CANCELLED: 0},
        "newest": {"count": SUCCEEDED},
        "worker_seen": None,
    }


def test_two_workers_that_claim_at_once_get_one_job(jobs: JobStore, database_url: str) -> None:
    kinds = [f"kind-{i}" for i in range(12)]
    for kind in kinds:
        jobs.add(kind, {}, "me")
    start = threading.Barrier(4)

    def claim_all(name: str) -> list[str]:
        session = Session(connect(database_url), 60)
        store, claimed = JobStore(session), []
        start.wait()
        while (job := store.claim(name)) is not None:
            claimed.append(job.kind)
        session.close()
        return claimed

    with ThreadPoolExecutor(4) as pool:
        claimed = [kind for found in pool.map(claim_all, "abcd") for kind in found]

    assert sorted(claimed) == sorted(kinds)


def test_a_result_that_is_no_json_is_refused(jobs: JobStore) -> None:
    added = jobs.add("count", {}, "me")
    jobs.claim(ME)

    with pytest.raises(ValueError, match="not JSON compliant"):
        jobs.finish(added, 1, SUCCEEDED, {"loss": float("nan")})
    assert jobs.job(added).state == RUNNING


def test_one_of_a_kind_is_queued_or_running(jobs: JobStore) -> None:
    added = jobs.add("count", {}, "me")
    with pytest.raises(JobConflict):
        jobs.add("count", {}, "me")
    jobs.claim(ME)
    with pytest.raises(JobConflict):
        jobs.add("count", {}, "me")
    other = jobs.add("other", {}, "me")
    jobs.finish(added, 1, FAILED, error="why")

    again = jobs.add("count", {}, "me")

    assert [job.id for job in jobs.newest(2)] == [again, other]
    assert jobs.job(added).error == "why"


def test_a_job_whose_worker_is_lost_is_taken_again_once_and_then_failed(jobs: JobStore, session: Session) -> None:
    added = jobs.add("count", {}, "me")
    jobs.claim(ME)
    silence(session, 50)
    assert jobs.claim(OTHER) is None

    silence(session, 61)
    again = jobs.claim(OTHER)

    assert again is not None
    assert (again.id, again.attempt, again.worker) == (added, 2, OTHER)
    silence(session, 61)
    assert jobs.claim(ME) is None
    assert jobs.job(added).state == FAILED
    assert "2 times" in str(jobs.job(added).error)


def test_an_old_attempt_can_write_nothing(jobs: JobStore, session: Session) -> None:
    added = jobs.add("count", {}, "me")
    jobs.claim(ME)
    silence(session, 61)
    jobs.claim(OTHER)

    assert not jobs.beat(added, 1)
    assert not jobs.finish(added, 1, SUCCEEDED, {})
    assert not jobs.give_back(added, 1, counts=False)
    assert not jobs.is_held(added, 1)
    with pytest.raises(JobGone):
        session.run(lambda: jobs.require(added, 1))
    session.run(lambda: jobs.require(added, 2))
    assert jobs.is_held(added, 2)
    assert jobs.job(added).state == RUNNING


def test_a_cancelled_job_can_write_nothing(jobs: JobStore, session: Session) -> None:
    queued, running = jobs.add("queued", {}, "me"), jobs.add("running", {}, "me")
    jobs.cancel(queued)
    jobs.claim(ME)

    assert jobs.cancel(running).state == CANCELLED

    assert not jobs.beat(running, 1)
    with pytest.raises(JobGone):
        session.run(lambda: jobs.require(running, 1))
    with pytest.raises(JobConflict):
        jobs.cancel(running)
    assert jobs.claim(ME) is None


def test_a_cancellation_waits_for_a_write_that_was_allowed(database_url: str, jobs: JobStore, session: Session) -> None:
    added = jobs.add("count", {}, "me")
    jobs.claim(ME)
    allowed, events = threading.Event(), []

    def cancel() -> None:
        other = Session(connect(database_url), 60)
        allowed.wait()
        JobStore(other).cancel(added)
        events.append("cancelled")
        other.close()

    def write() -> None:
        jobs.require(added, 1)
        allowed.set()
        canceller.join(0.5)
        events.append("written")

    canceller = threading.Thread(target=cancel)
    canceller.start()
    session.run(write)
    canceller.join()

    assert events == ["written", "cancelled"]


def test_a_job_that_is_given_back_has_all_its_attempts(jobs: JobStore) -> None:
    added = jobs.add("count", {}, "me")
    jobs.claim(ME)
    jobs.beat(added, 1, 0.5, "half")

    assert jobs.give_back(added, 1, counts=False)

    assert (jobs.job(added).state, jobs.job(added).attempt, jobs.job(added).progress) == (QUEUED, 0, 0.0)
    job = jobs.claim(OTHER)
    assert job is not None
    assert job.attempt == 1


@pytest.mark.parametrize("unknown", [0, 7, 2**63, 10**30])
def test_an_unknown_job(jobs: JobStore, unknown: int) -> None:
    for call in (jobs.job, jobs.cancel):
        with pytest.raises(UnknownJob):
            call(unknown)


def test_when_a_worker_was_seen(jobs: JobStore, session: Session) -> None:
    assert jobs.worker_seen() is None
    jobs.saw_worker(OTHER)
    moment = datetime.now(UTC) - timedelta(days=2)
    session.run(lambda: WorkerSeen.update(seen_at=moment).execute(session.database))
    assert jobs.worker_seen() == pytest.approx(2 * 86400, abs=30)

    jobs.saw_worker(ME)
    jobs.saw_worker(ME)

    assert jobs.worker_seen() == pytest.approx(0, abs=30)
    assert session.read(lambda: WorkerSeen.select().count(session.database)) == 1
    jobs.forget_worker(ME)
    assert jobs.worker_seen() is None


def test_a_worker_that_waits_does_not_write(jobs: JobStore, database_url: str) -> None:
    other = Session(connect(database_url), 60)

    def claim_meanwhile() -> None:
        assert jobs.claim(ME) is None

    other.run(claim_meanwhile)
    other.close()
