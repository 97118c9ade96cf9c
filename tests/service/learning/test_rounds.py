"""A worker's rounds never make it wait, and a model that ends its process is left alone for an hour."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from serialize.content import Content
from service.learning import rounds as module
from service.learning.rounds import Rounds
from service.learning.watched import BY
from service.registry.registry import Registry
from service.storage.session import Session
from tests.conftest import Client
from tests.service.conftest import fill
from tests.service.learning.test_shadow import judged
from tests.service.learning.test_watch import BAD, GOOD, label, promoted
from tests.service.registry.test_proof import doing
from tests.support.waiting import until

SECONDS = 20


class Script:
    """A program instead of the real one, which notes the state that it gets."""

    def __init__(self, folder: Path) -> None:
        self.states = folder / "states"
        self.source = folder / "script.py"

    def command(self, then: str) -> tuple[str, str]:
        """A command that does this after it has noted its state."""
        note = f"import os, sys, time\nopen({str(self.states)!r}, 'a').write(sys.argv[1] + chr(10))\n"
        self.source.write_text(note + then)
        return sys.executable, str(self.source)

    def got(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.states.read_text().splitlines()] if self.states.exists() else []


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_SECONDS", 0.0)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


@pytest.fixture
def challenger(models: Registry, session: Session, twin: Content) -> str:
    models.register(twin, "me@here")
    judged(session, twin.version)
    return twin.version


def over(rounds: Rounds) -> None:
    """Waits until the process of the round has ended, and takes what it told."""
    child = rounds._child
    assert child is not None
    child.wait(3 * SECONDS)
    rounds.round()


def test_a_round_begins_only_if_there_is_something_new(
    service: Client, models: Registry, session: Session, challenger: str, script: Script
) -> None:
    told = json.dumps({"ends": {challenger: 7}})
    rounds = Rounds(models, session, script.command(f"print({told!r})"))
    rounds.round()
    over(rounds)
    rounds.round()
    assert len(script.got()) == 1

    fill(service, 1)
    rounds.round()
    over(rounds)

    assert script.got() == [
        {"looked": {}, "ends": {}, "failed": []},
        {"looked": {}, "ends": {challenger: 7}, "failed": []},
    ]


def test_nothing_begins_without_a_challenger_or_a_registry(models: Registry, session: Session, script: Script) -> None:
    for registry in (models, None):
        rounds = Rounds(registry, session, script.command(""))
        rounds.round()
        assert rounds._child is None


def test_a_model_that_ends_the_process_is_left_out_for_an_hour(
    service: Client,
    models: Registry,
    session: Session,
    challenger: str,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = json.dumps({"scoring": challenger})
    rounds = Rounds(models, session, script.command(f"print({told!r}, flush=True); os.kill(os.getpid(), 9)"))
    rounds.round()
    over(rounds)
    fill(service, 1)
    rounds.round()
    assert len(script.got()) == 1

    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.0)
    rounds.round()
    over(rounds)
    assert len(script.got()) == 2


def test_stop_ends_the_round_that_runs_and_a_round_that_hangs_is_ended(
    models: Registry, session: Session, challenger: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds(models, session, script.command("time.sleep(600)"))
    began = time.monotonic()
    rounds.round()
    rounds.round()
    assert time.monotonic() - began < SECONDS
    child = rounds._child
    assert child is not None
    until(lambda: len(script.got()) == 1, SECONDS)
    monkeypatch.setattr(module, "_LONGEST_SECONDS", 0.0)
    rounds.round()
    assert child.returncode is not None
    rounds.round()
    rounds.stop()
    assert not psutil.pid_exists(child.pid)
    assert rounds._child is None


@pytest.mark.long  # starts processes that load a model
def test_a_model_that_ends_the_real_process_does_not_keep_the_watch_from_working(
    service: Client,
    models: Registry,
    session: Session,
    twin: Content,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", models.keys[0])
    ends = models.register(doing("__import__('os')._exit(0)", twin), "me@here").version
    judged(session, ends)
    rounds = Rounds(models, session, (sys.executable, "-m", "service.learning.shadow"))

    rounds.round()
    over(rounds)

    assert set(rounds._failed) == {ends}
    rounds.round()
    assert rounds._child is None


@pytest.mark.long  # starts processes that load a model
def test_a_database_that_goes_away_in_a_round_is_not_held_against_the_model(
    service: Client,
    models: Registry,
    session: Session,
    challenger: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", models.keys[0])
    fill(service, 3)
    away = (
        "import sys; from service.errors import Unavailable; from service.learning import replay, shadow\n"
        "def run(*_): raise Unavailable('away', 1, 'OperationalError')\n"
        "replay.Replay.run = run; shadow._main(*sys.argv[1:])"
    )
    rounds = Rounds(models, session, (sys.executable, "-c", away))

    rounds.round()
    over(rounds)

    assert rounds._failed == {}
    rounds.round()
    assert rounds._child is not None
    rounds.stop()


@pytest.mark.long  # starts processes that load models
def test_the_real_process_undoes_a_bad_promotion(
    service: Client,
    models: Registry,
    session: Session,
    twin: Content,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", models.keys[0])
    models.register(twin, "me@here")
    found = promoted(models, twin.version)
    label(session, found, 200, BAD, GOOD)
    rounds = Rounds(models, session, (sys.executable, "-m", "service.learning.shadow"))

    rounds.round()
    over(rounds)

    assert models.promotions.champion() == found.previous
    (entry,) = models.promotions.newest(1)
    assert (entry.promoted_by, entry.undoes) == (BY, found.promotion)
    assert rounds._looked == {str(found.promotion): 1}
    rounds.stop()


@pytest.mark.long  # starts a process that loads a model
def test_the_real_process_scores_new_rows(
    service: Client,
    models: Registry,
    session: Session,
    challenger: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", models.keys[0])
    fill(service, 20)
    rounds = Rounds(models, session, (sys.executable, "-m", "service.learning.shadow"))
    rounds.round()
    child = rounds._child
    assert child is not None
    assert child.wait(60) == 0
    rounds.round()

    assert rounds._ends[challenger] >= 20
    rounds.stop()
