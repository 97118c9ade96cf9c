"""A worker takes the champion of the registry, and keeps its model if it cannot."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from serialize.content import Content, read_content
from serialize.errors import ArtifactError
from service.batching import run_here
from service.errors import Unavailable
from service.registry.champion import Wanted
from service.registry.registry import Registry
from service.registry.swap import Swap
from service.storage.models import store as model_store
from service.storage.session import Session
from tests.service.registry.changes import CHANGES


class Served:
    """A model as the swap sees it."""

    def __init__(self, version: str) -> None:
        self.version = version


class Worker:
    """What a swap exchanges, without a server. `fault` is raised while a model is loaded."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry, self.folder = registry, folder
        self.model = Served("first")
        self.wanted = Wanted()
        self.lacks: list[bool] = []
        self.tried: list[str] = []
        self.fault: Exception | None = None
        self.during: Callable[[], object] = lambda: None
        self.swap = Swap(
            registry,
            self.wanted,
            lambda: self.model.version,
            self.exchange,
            lambda: folder,
            run_here,
            self.lacks.append,
        )

    def exchange(self, content: Content) -> Served:
        self.tried.append(content.version)
        self.during()
        if self.fault is not None:
            raise self.fault
        before, self.model = self.model, Served(content.version)
        return before

    def state(self) -> tuple[str, str | None, str | None]:
        """What GET /model says: serving, wanted and why."""
        return self.model.version, self.wanted.version, self.wanted.why


@pytest.fixture
def worker(registry: Registry, tmp_path: Path) -> Worker:
    (tmp_path / "shared").mkdir()
    return Worker(registry, tmp_path / "shared")


@pytest.fixture
def promoted(registry: Registry, artifacts: dict[str, Path]) -> Callable[[str], str]:
    """Registers a recipe's model, makes it the champion, and gives its version."""

    def promoted(name: str) -> str:
        version = registry.register(read_content(artifacts[name]), "me@here").version
        registry.promote(version, "me@here")
        return version

    return promoted


def test_without_a_champion_the_model_stays(worker: Worker) -> None:
    assert worker.swap.look()
    assert worker.state() == ("first", None, None)


def test_each_promotion_is_taken_once(worker: Worker, promoted: Callable[[str], str], registry: Registry) -> None:
    one, other = promoted("titanic"), promoted("iris")
    worker.swap.look()
    worker.swap.look()
    registry.rollback("me@here")
    worker.swap.look()

    assert worker.tried == [other, one]
    assert worker.state() == (one, one, None)
    assert not any(worker.lacks)
    assert not list(worker.folder.glob("loading-*"))


@pytest.mark.parametrize("change", CHANGES)
def test_a_champion_without_valid_files_is_never_unpickled(
    worker: Worker,
    promoted: Callable[[str], str],
    registry: Registry,
    change: Callable[[Registry, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    version = promoted("iris")
    change(registry, version)

    assert worker.swap.look()
    assert worker.swap.look()
    assert worker.tried == []
    assert worker.state()[:2] == ("first", version)
    assert worker.wanted.why
    assert worker.lacks == [True]


@pytest.mark.parametrize("fault", [ArtifactError("golden rows"), ValueError("a library"), MemoryError()])
def test_a_model_that_cannot_be_loaded_is_tried_once_until_another_promotion(
    worker: Worker, promoted: Callable[[str], str], fault: Exception
) -> None:
    version = promoted("iris")
    worker.fault = fault
    for _ in range(3):
        assert worker.swap.look()
    assert worker.tried == [version]
    assert worker.state()[:2] == ("first", version)
    assert worker.wanted.why

    worker.fault = None
    other = promoted("titanic")
    worker.swap.look()
    assert worker.state() == (other, other, None)
    assert worker.lacks == [True, False]


def test_a_promotion_back_to_the_model_that_serves_ends_the_fault(
    worker: Worker, promoted: Callable[[str], str], registry: Registry
) -> None:
    version = promoted("titanic")
    worker.swap.look()
    promoted("iris")
    worker.fault = ArtifactError("golden rows")
    worker.swap.look()
    registry.rollback("me@here")
    worker.swap.look()

    assert worker.state() == (version, version, None)
    assert worker.lacks[-1] is False


def test_while_the_database_is_away_the_model_stays_and_one_line_says_so(
    worker: Worker, promoted: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("gone", reason="OperationalError")

    version = promoted("iris")
    caplog.set_level("INFO")
    with monkeypatch.context() as patched:
        patched.setattr(Session, "watch", away)
        assert not worker.swap.look()
        assert not worker.swap.look()
    assert worker.state() == ("first", None, None)

    assert worker.swap.look()
    assert worker.state() == (version, version, None)
    lines = [record.getMessage() for record in caplog.records if "registry-" in record.getMessage()]
    assert lines == ["registry-away", "registry-back"]


class Stopped(Exception):
    """Ends the watch of a test."""


def pauses(worker: Worker, monkeypatch: pytest.MonkeyPatch, count: int) -> list[float]:
    """The first pauses between two looks of a worker, without waiting for them."""
    found: list[float] = []

    def pause(seconds: float) -> None:
        found.append(seconds)
        if len(found) == count:
            raise Stopped

    monkeypatch.setattr("service.registry.swap.time.sleep", pause)
    monkeypatch.setattr("service.registry.swap.run_in_background", lambda job: job())
    with pytest.raises(Stopped):
        worker.swap.start(0)
    return found


def test_workers_look_about_once_a_second_and_not_at_the_same_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pauses(worker, monkeypatch, 30)

    assert all(0.8 <= seconds <= 1.2 for seconds in found)
    assert len(set(found)) == len(found)


def test_while_the_database_is_away_the_looks_become_rare(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.swap, "look", lambda: False)

    found = pauses(worker, monkeypatch, 30)

    assert found[0] > 1.5
    assert all(8 <= seconds <= 10 for seconds in found[4:])


def test_if_the_database_goes_away_while_a_model_is_read_it_is_tried_again(
    worker: Worker, promoted: Callable[[str], str]
) -> None:
    version = promoted("iris")
    worker.fault = Unavailable("gone")
    assert not worker.swap.look()
    worker.fault = None

    assert worker.swap.look()
    assert worker.state() == (version, version, None)


def test_a_model_of_which_a_worker_died_is_not_tried_by_the_next(
    worker: Worker, promoted: Callable[[str], str], registry: Registry
) -> None:
    version = promoted("iris")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (worker.folder / f"loading-{version}-.{dead.pid}").touch()

    worker.swap.look()
    assert worker.tried == []
    assert "died" in str(worker.wanted.why)


def test_a_model_that_another_worker_loads_now_is_loaded_too(worker: Worker, promoted: Callable[[str], str]) -> None:
    version = promoted("iris")
    (worker.folder / f"loading-{version}-.{os.getppid()}").touch()

    worker.swap.look()
    assert worker.state() == (version, version, None)


def test_a_worker_that_is_stopped_while_it_loads_leaves_no_note(worker: Worker, promoted: Callable[[str], str]) -> None:
    promoted("iris")
    notes: list[int] = []

    def stop() -> None:
        notes.append(len(list(worker.folder.glob("loading-*"))))
        worker.swap.stop()
        notes.append(len(list(worker.folder.glob("loading-*"))))

    worker.during = stop
    worker.swap.look()

    assert notes == [1, 0]


def test_only_large_models_are_loaded_one_at_a_time(
    worker: Worker, promoted: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locks: list[bool] = []
    worker.during = lambda: locks.append((worker.folder / "swap.lock").exists())
    promoted("iris")
    worker.swap.look()

    monkeypatch.setattr(model_store, "PART_BYTES", 100)
    promoted("titanic")
    worker.swap.look()

    assert locks == [False, True]


def test_the_model_before_is_freed(worker: Worker, promoted: Callable[[str], str]) -> None:
    promoted("iris")
    worker.swap.look()

    gc.collect()
    assert [each for each in gc.get_objects() if isinstance(each, Served) and each.version == "first"] == []
