"""A retraining, a worker and a round of the watch may be killed before any of their writes: there is one champion, the
newest of the history, and the next worker ends the job. Of a retraining, every seventh write is tried, of a worker
every second one, and others on each database."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from unittest.mock import patch

import pytest

from serialize.content import read_content
from service.learning.kinds import RETRAIN
from service.learning.watched import BY
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.connection import connect
from service.storage.learning.jobs import FAILED, LOST_SECONDS, QUEUED, RUNNING, SUCCEEDED, JobStore
from service.storage.learning.tables import Job, ShadowScore
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.conftest import empty_postgresql
from tests.service.registry.test_killed import Place, require_whole
from tests.support import killed_learning
from tests.support.flipped import make, registered_before_the_log, world, write_log
from tests.support.killed import KILLED, run_call

ROWS = 700  # of the log after the flip
WATCHED_ROWS = 250  # three blocks of the scores

pytestmark = pytest.mark.long


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database that has its tables."""
    folder = tmp_path / "start"
    folder.mkdir()
    if request.param == "sqlite":
        copy(request.getfixturevalue("prepared_sqlite"), folder / "log.db")
        return Place(f"sqlite:///{folder}/log.db", folder)
    prepared = request.getfixturevalue("prepared_postgresql")
    return Place(empty_postgresql(request.getfixturevalue("postgresql_server"), prepared), folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The artifacts of two models with the same answers."""
    folder = tmp_path_factory.mktemp("models")
    with patch.object(
        subprocess, "run", return_value=subprocess.CompletedProcess((), 0)
    ):  # no reading in a new process
        make(folder / "one", name="one")
        make(folder / "other", name="other")
    return folder / "one", folder / "other"


@contextmanager
def opened(place: Place) -> Iterator[Session]:
    with closing(Session(connect(place.url))) as session:
        session.database.connect()
        yield session


def registry(place: Place, session: Session) -> Registry:
    """The registry of a place; its proof accepts every model."""
    settings = Settings(database_url=place.url, model_signing_key=place.variables["MODEL_SIGNING_KEY"])
    found = registry_of(settings, session)
    assert found is not None
    return Registry(ModelStore(session), Promotions(session), found.keys, found.max_bytes, lambda _: {})


def call(place: Place, function: Callable[..., None], *arguments: object, die_before: int = 0) -> int:
    return run_call(function, arguments, place.variables, place.folder / "output.txt", die_before)


def time_passes(session: Session) -> None:
    """Makes a job that runs look lost."""
    silence = Job.update(heartbeat=datetime.now(UTC) - timedelta(seconds=2 * LOST_SECONDS))
    session.run(lambda: silence.execute(session.database))


def some_steps(place: Place, every: int, function: Callable[..., None], *arguments: object) -> list[int]:
    """An even sample of the steps of a function, the last one first. Each database has its own sample."""
    whole = place.copy(0)
    assert call(whole, function, *arguments) == 0, (whole.folder / "output.txt").read_text()
    last = int((whole.folder / "steps").read_text()) - (0 if place.is_file else every // 2)
    return list(range(last, 0, -every))


def test_a_retraining(place: Place, folders: tuple[Path, Path]) -> None:
    """Its worker is killed with it and another takes the job, or it alone and the job is asked for again, in turn."""
    with opened(place) as session:
        models = registry(place, session)
        first = models.register(read_content(folders[0]), "me@here").version
        models.promote(first, "me@here")
        session.database.connect(reuse_if_open=True)
        registered_before_the_log(models, session.database, first)
        write_log(session.database, *world(ROWS, seed=2, is_flipped=True), first)
        jobs = JobStore(session)
        id_ = jobs.add(RETRAIN, {"promote": True}, "me")
        assert jobs.claim("first") is not None
    work = killed_learning.work_on_job

    for number in some_steps(place, 7, work, id_, 1):
        killed = place.copy(number)
        assert call(killed, work, id_, 1, die_before=number) == KILLED
        require_whole(killed)
        is_lost = number % 2 == 0
        with opened(killed) as session:
            jobs, was_promoted = JobStore(session), len(Promotions(session).history()) == 2
            assert jobs.job(id_).state == RUNNING
            if is_lost:
                time_passes(session)
            else:
                jobs.finish(id_, 1, FAILED, error="as the worker says")
                jobs.add(RETRAIN, {"promote": True}, "me")
            again = jobs.claim("second")
            assert again is not None
        assert call(killed, work, again.id, again.attempt) == 0

        require_whole(killed)
        with opened(killed) as session:
            done, history = JobStore(session).job(again.id), Promotions(session).history()
        assert (done.state, done.error) == (SUCCEEDED, None)
        assert [entry.from_version for entry in history] == [None, first]
        assert done.result is not None
        if is_lost or not was_promoted:
            assert (done.result["promoted"], done.result["challenger"]) == (True, history[1].to_version)


def test_a_worker(place: Place, tmp_path: Path) -> None:
    """Its first child is stopped by SIGTERM, so the job is given back; the next one fails."""
    note = tmp_path / "note"
    script = (
        "import os, sys\n"
        f"if os.path.exists({str(note)!r}): sys.exit(3)\n"
        f"open({str(note)!r}, 'w').close(); os.kill(os.getpid(), 15)"
    )
    with opened(place) as session:
        id_ = JobStore(session).add("any", {}, "me")
    work, states = killed_learning.work_as_worker, set()

    for number in some_steps(place, 2, work, script):
        note.unlink(missing_ok=True)
        code = call(place, work, script, die_before=number)
        assert code == KILLED
        with opened(place) as session:
            states.add(JobStore(session).job(id_).state)
            time_passes(session)
        assert call(place, work, script) == 0
        with opened(place) as session:
            jobs = JobStore(session)
            done = jobs.job(id_)
            assert done.state == FAILED
            assert "status 3" in str(done.error) or "without a result" in str(done.error)
            id_ = jobs.add("any", {}, "me")
    assert states == {QUEUED, RUNNING, FAILED}


def test_a_round_of_the_watch(place: Place, folders: tuple[Path, Path]) -> None:
    """It scores the rows of a bad champion with the model before it, and then makes that one the champion again."""
    with opened(place) as session:
        models = registry(place, session)
        good, bad = (models.register(read_content(folder), "me@here").version for folder in folders)
        models.promote(good, "me@here")
        models.promote(bad, "me@here")
        (promoted,) = models.promotions.newest(1)
        X, truth = world(WATCHED_ROWS, seed=2)
        times = [promoted.promoted_at + timedelta(milliseconds=1 + place) for place in range(WATCHED_ROWS)]
        probas = [0.1 if label else 0.9 for label in truth.tolist()]
        session.database.connect(reuse_if_open=True)
        write_log(session.database, X, truth, bad, created_at=times, labelled_at=times, proba=probas)
    work = killed_learning.work_one_round

    for number in some_steps(place, 1, work):
        killed = place.copy(number)
        assert call(killed, work, die_before=number) == KILLED
        require_whole(killed)
        for _ in range(2):  # the second one finds nothing to do
            assert call(killed, work) == 0
        require_whole(killed)
        with opened(killed) as session:
            history = Promotions(session).history()
            assert [entry.to_version for entry in history] == [good, bad, good]
            assert (history[2].promoted_by, history[2].undoes) == (BY, promoted.id)
            assert ShadowScore.select().count(session.database) == WATCHED_ROWS
