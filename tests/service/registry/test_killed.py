"""A command may be killed before any of its steps: there is one champion, nothing incomplete is registered, and the
command finishes when it is repeated."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from serialize.content import read_content
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.models.store import REGISTERED
from service.storage.models.tables import Champion
from service.storage.session import Session
from tests.conftest import empty_postgresql
from tests.support.killed import KILLED, run
from tests.support.passengers import PROJECT
from tests.support.served import environment
from tests.support.waiting import until

KEY = "k" * 32

pytestmark = pytest.mark.long


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and the variables of commands that use it. SQLite has its key in a file."""

    url: str
    folder: Path

    @property
    def is_file(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def variables(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url, "MODEL_SIGNING_KEY": "" if self.is_file else KEY}

    def run(self, *arguments: str, artifacts: Path | None = None, die_before: int = 0) -> int:
        """Runs a command and returns its exit code."""
        variables = {**self.variables, **({"ARTIFACTS": str(artifacts)} if artifacts else {})}
        return run(arguments, variables, self.folder / "output.txt", die_before)

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def copy(self, number: int) -> "Place":
        """The same database again."""
        folder = Path(shutil.copytree(self.folder, self.folder.with_name(f"copy-{number}")))
        if self.is_file:
            return Place(f"sqlite:///{folder}/log.db", folder)
        name = self.url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self.url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}_{number} TEMPLATE {name}".encode())
        return Place(self.url.replace(f"/{name}?", f"/{name}_{number}?"), folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    folder = tmp_path / "start"
    folder.mkdir()
    if request.param == "sqlite":
        return Place(f"sqlite:///{folder}/log.db", folder)
    return Place(empty_postgresql(request.getfixturevalue("postgresql_server")), folder)


@pytest.fixture(scope="module")
def versions(artifacts: dict[str, Path]) -> dict[str, str]:
    return {name: read_content(folder).version for name, folder in artifacts.items()}


def killed_everywhere(start: Place, arguments: tuple[str, ...], artifacts: Path, check: Callable[[Place], None]) -> int:
    """Kills the command before each of its steps, on a copy of the database each time, and checks what it leaves. Then
    repeats the command and checks that. Returns the number of steps."""
    for number in itertools.count(1):
        place = start.copy(number)
        code = place.run(*arguments, artifacts=artifacts, die_before=number)
        if code != KILLED:
            assert code == 0, place.output()
            return number - 1
        require_whole(place)
        check(place)
        require_whole(place)
    raise AssertionError


def require_whole(place: Place) -> None:
    """There is at most one champion, its files hold their digests, as those of all registered models do, and the last
    promotion made it the champion."""
    settings = Settings(
        database_url=place.url, model_signing_key=place.variables["MODEL_SIGNING_KEY"], artifacts="none"
    )
    database = database_of(settings)
    session = Session(database)
    with database.connection_context():
        if not database.table_exists("job"):  # it was killed before the end of the last migration
            return
        rows = [version for (version,) in Champion.select(Champion.version).tuples().execute(database)]
    registry = registry_of(settings, session)
    assert registry is not None
    history = registry.promotions.history()
    assert rows == [entry.to_version for entry in history[-1:]]
    assert [entry.from_version for entry in history] == [None, *(entry.to_version for entry in history)][: len(history)]
    for version in {*rows, *(model.version for model in registry.store.models() if model.state == REGISTERED)}:
        assert registry.content(version).version == version
    session.close()


def champion(place: Place) -> str | None:
    return _registry(place).promotions.champion()


def state(place: Place, version: str) -> str:
    return _registry(place).model(version).state


def _registry(place: Place) -> Registry:
    settings = Settings(database_url=place.url, model_signing_key=place.variables["MODEL_SIGNING_KEY"])
    registry = registry_of(settings, Session(database_of(settings)))
    assert registry is not None
    return registry


def succeeds(place: Place, *arguments: str, artifacts: Path | None = None) -> None:
    assert place.run(*arguments, artifacts=artifacts) == 0, place.output()


def test_the_first_release(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    def check(place: Place) -> None:
        succeeds(place, "release", artifacts=artifacts["iris"])
        assert champion(place) == versions["iris"]

    assert killed_everywhere(place, ("release",), artifacts["iris"], check) > 15


def test_the_release_of_another_model(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    succeeds(place, "release", artifacts=artifacts["titanic"])

    def check(place: Place) -> None:
        assert champion(place) in (versions["titanic"], versions["iris"])
        succeeds(place, "release", artifacts=artifacts["iris"])
        assert champion(place) == versions["iris"]

    assert killed_everywhere(place, ("release",), artifacts["iris"], check) > 10


def test_a_registration(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    succeeds(place, "release", artifacts=artifacts["titanic"])
    register = ("register", str(artifacts["iris"]))

    def check(place: Place) -> None:
        assert champion(place) == versions["titanic"]
        succeeds(place, *register)
        assert place.output().split() == [versions["iris"]]
        assert state(place, versions["iris"]) == REGISTERED

    assert killed_everywhere(place, register, artifacts["titanic"], check) > 6


def test_a_promotion(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    succeeds(place, "release", artifacts=artifacts["titanic"])
    succeeds(place, "register", str(artifacts["iris"]))
    promote = ("promote", versions["iris"])

    def check(place: Place) -> None:
        if champion(place) == versions["titanic"]:
            succeeds(place, *promote)
        assert champion(place) == versions["iris"]

    assert killed_everywhere(place, promote, artifacts["titanic"], check) > 2


def test_a_rollback(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    succeeds(place, "release", artifacts=artifacts["titanic"])
    succeeds(place, "release", artifacts=artifacts["iris"])

    def check(place: Place) -> None:
        if champion(place) == versions["iris"]:
            succeeds(place, "rollback")
        assert champion(place) == versions["titanic"]

    assert killed_everywhere(place, ("rollback",), artifacts["titanic"], check) > 2


def test_a_retirement(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    succeeds(place, "release", artifacts=artifacts["titanic"])
    succeeds(place, "register", str(artifacts["iris"]))
    retire = ("retire", versions["iris"])

    def check(place: Place) -> None:
        assert champion(place) == versions["titanic"]
        succeeds(place, *retire)
        assert _registry(place).store.file(versions["iris"], "pipeline.joblib") is None

    assert killed_everywhere(place, retire, artifacts["titanic"], check) > 2


def test_a_promotion_during_its_proof(place: Place, artifacts: dict[str, Path], versions: dict[str, str]) -> None:
    succeeds(place, "release", artifacts=artifacts["titanic"])
    succeeds(place, "register", str(artifacts["iris"]))
    command = (sys.executable, "-m", "service", "promote", versions["iris"])
    with subprocess.Popen(command, cwd=PROJECT, env=environment(**place.variables)) as process:
        until(lambda: bool(psutil.Process(process.pid).children()))
        (proof,) = psutil.Process(process.pid).children()
        process.kill()

    require_whole(place)
    assert champion(place) == versions["titanic"]
    proof.wait(60)  # it ends by itself
    succeeds(place, "promote", versions["iris"])
    assert champion(place) == versions["iris"]
