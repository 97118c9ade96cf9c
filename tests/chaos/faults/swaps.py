"""Promotions while two services on one database are under load: no request fails, each row names the model that scored
it, and all workers take the new champion in time."""

import atexit
import itertools
import random
import shutil
import subprocess
import sys
import threading
import time
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import requests

from serialize.content import read_content
from serialize.recipes.recipe import train
from serialize.recipes.titanic import titanic
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.models.promotions import Promoted
from service.storage.session import Session
from tests.chaos.audits.versions import audit_versions
from tests.chaos.cluster import Cluster
from tests.chaos.faults.outage import outage
from tests.chaos.livez import Livez
from tests.chaos.outcome import Outcome, Scale, concluded
from tests.chaos.recorder import SENDERS, Recorder
from tests.chaos.sender import PASSENGERS, Acknowledged, Journal
from tests.chaos.stage import Stage, until
from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.served import environment

SIGNED = {"MODEL_SIGNING_KEY": "k" * 32}

_SWAP_SECONDS = 5.0
_SWAP_AFTER_OUTAGE_SECONDS = 15.0
_LIVEZ_SECONDS = 0.25
_LOADED_SECONDS = 1.0
_ITEMS = 200


@dataclass(frozen=True, slots=True)
class Models:
    """Two registered models that give different probabilities: their versions and folders. The first is the
    champion."""

    folders: dict[str, Path]

    def at(self, number: int) -> str:
        """The first model for even numbers."""
        return list(self.folders)[number % 2]


def models_are_swapped(stage: Stage, scale: Scale) -> Outcome:
    """Two masters under load, with arrays too, and a promotion back and forth, by the command."""
    models = _models(stage)
    (stage.folder / "second").mkdir()
    with ExitStack() as running:
        second = running.enter_context(Stage(stage.folder / "second", stage.database_url, variables=SIGNED))
        recorders = [
            running.enter_context(Recorder(each.port, senders=SENDERS // 2, first=number * SENDERS))
            for number, each in enumerate((stage, second))
        ]
        for number, (each, recorder) in enumerate(zip((stage, second), recorders, strict=True)):
            running.enter_context(_arrays(each, recorder.aside, f"array-{number}"))
        livez = running.enter_context(Livez(stage.port, second.port))
        for number in range(1, scale.promotions + 1):
            time.sleep(_LOADED_SECONDS)
            _run(stage, "promote", models.at(number))
            _wait_for(recorders, models.at(number))
    found = audit_versions(
        stage.database_url,
        [one for recorder in recorders for one in recorder.acknowledged()],
        [one for recorder in recorders for one in recorder.labelled()],
        models.folders,
        exact=True,
    )
    recorders[0].journals += [*recorders[1].journals, recorders[1].aside]  # as one, for the counts
    promotions = _promotions(stage)[-scale.promotions :]
    seconds = _swap_seconds(recorders[0].acknowledged(), promotions)
    found.blame("a request that was not answered 200", _failed(recorders[0]))
    found.blame("a promotion that did not happen", scale.promotions - len(promotions))
    found.blame("a swap that took too long", seconds > _SWAP_SECONDS)
    found.blame("/livez not 200", livez.failed)
    found.blame("/livez was slow", livez.slowest > _LIVEZ_SECONDS)
    found.blame("a failure in the other log", second.failures() + _warnings(second))
    found.blame("a warning in the log", _warnings(stage))
    name = f"{scale.promotions} promotions on two masters under load"
    return concluded(name, stage, recorders[0], found, swap_seconds=seconds, livez_seconds=livez.slowest)


def database_is_away_during_a_swap(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
    """PostgreSQL stops at once just after a promotion, and starts again: the model stays meanwhile, and the new one
    serves afterwards."""
    with Stage(folder, cluster.new_database(), variables=SIGNED) as stage:
        models = _models(stage)
        longest = slowest = mended = 0.0

        def end() -> None:
            nonlocal mended
            cluster.start()
            mended = time.monotonic()

        with Recorder(stage.port) as recorder:
            for number in range(1, scale.repeats + 1):
                recorder.recovery(time.monotonic())

                def begin(number: int = number) -> None:
                    _promote(stage, models.at(number))
                    time.sleep(random.uniform(0, 0.5))  # most workers have not looked yet, or load the model
                    cluster.stop()

                longest = max(longest, outage(stage, recorder, begin, end, 3.0))
                _wait_for([recorder], models.at(number))
                slowest = max(slowest, time.monotonic() - mended)
        found = audit_versions(stage.database_url, recorder.acknowledged(), recorder.labelled(), models.folders)
        found.blame("a swap that took too long", slowest > _SWAP_AFTER_OUTAGE_SECONDS)
        found.blame("a champion that could not serve", stage.log.read_text().count("champion-unusable"))
        name = f"PostgreSQL stopped during a swap, {scale.repeats}x"
        return concluded(name, stage, recorder, found, longest, swap_seconds=slowest)


def rows_name_another_model(stage: Stage, scale: Scale) -> Outcome:
    """CONTROL: after a swap the rows name the model that served before."""
    models = _models(stage)
    with Recorder(stage.port) as recorder:
        recorder.recovery(time.monotonic())
        _promote(stage, models.at(1))
        _wait_for([recorder], models.at(1))
    found = audit_versions(stage.database_url, recorder.acknowledged(), recorder.labelled(), models.folders)
    caught = concluded("CONTROL: rows name the model before", stage, recorder, found)
    caught.caught = {"a row with another probability", "an answer that names another model than its row"} <= set(
        found.reasons
    )
    return caught


def _models(stage: Stage) -> Models:
    """Registers a second model for the same passengers."""
    folder = _challenger()
    with _registry(stage) as registry:
        registry.register(read_content(folder), "chaos")
    return Models({read_content(each).version: each for each in (ARTIFACTS, folder)})


@cache
def _challenger() -> Path:
    """The folder of the second model, which is trained once for all faults."""
    recipe = titanic()
    pipeline = recipe.pipeline.set_params(logisticregression__C=0.02)
    declared = {**recipe.declared, "metrics": "none", "importances": False}
    folder = Path(mkdtemp(prefix="challenger-"))
    atexit.register(shutil.rmtree, folder)
    train(replace(recipe, pipeline=pipeline, declared=declared), folder / "model")
    return folder / "model"


@contextmanager
def _arrays(stage: Stage, journal: Journal, name: str) -> Iterator[None]:
    """Posts arrays of predictions, one after the other, until the block ends, and keeps the answers."""
    stopping = threading.Event()

    def send_on() -> None:
        with requests.Session() as session:
            for number in itertools.takewhile(lambda _: not stopping.is_set(), itertools.count()):
                items = [{"id": f"{name}-{number}-{i}", "observation": PASSENGERS[i]} for i in range(_ITEMS)]
                asked_at = time.time()
                journal.sent += _ITEMS
                try:
                    answer = session.post(f"http://127.0.0.1:{stage.port}/predict", json=items, timeout=30)
                except requests.RequestException:
                    journal.interrupted += 1
                    continue
                if answer.status_code != 200:
                    journal.faults[f"status {answer.status_code} of an array"] += 1
                    continue
                version = answer.headers["X-Model-Version"]
                journal.acknowledged += [
                    Acknowledged(item["observation_id"], i, item, False, version, asked_at)
                    for i, item in enumerate(answer.json())
                ]

    sender = threading.Thread(target=send_on)
    sender.start()
    try:
        yield
    finally:
        stopping.set()
        sender.join()


def _run(stage: Stage, *arguments: str) -> None:
    """Runs a command of the service on the database of a stage."""
    variables = environment(DATABASE_URL=stage.database_url, **SIGNED)
    command = (sys.executable, "-m", "service", *arguments)
    ended = subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def _promote(stage: Stage, version: str) -> None:
    """Promotes without the proof, which takes seconds."""
    with _registry(stage) as registry:
        assert registry.promotions.promote(version, registry.promotions.champion(), "chaos")


def _promotions(stage: Stage) -> list[Promoted]:
    with _registry(stage) as registry:
        return registry.promotions.history()


@contextmanager
def _registry(stage: Stage) -> Iterator[Registry]:
    settings = Settings(database_url=stage.database_url, model_signing_key=SIGNED["MODEL_SIGNING_KEY"])
    session = Session(database_of(settings))
    registry = registry_of(settings, session)
    assert registry is not None
    yield registry
    session.close()


def _wait_for(recorders: Sequence[Recorder], version: str) -> None:
    """Waits until the newest answer of every sender names a version."""
    until(lambda: all(_newest(journal) == version for recorder in recorders for journal in recorder.journals))


def _newest(journal: Journal) -> str | None:
    return journal.acknowledged[-1].version if journal.acknowledged else None


def _swap_seconds(acknowledged: Iterable[Acknowledged], promotions: Sequence[Promoted]) -> float:
    """The longest time after a promotion at which a request began that the old model answered."""
    times = [promotion.promoted_at.timestamp() for promotion in promotions]
    late = [0.0]
    for one in acknowledged:
        newest = bisect(times, one.asked_at) - 1
        if newest >= 0 and one.version != promotions[newest].to_version:
            late.append(one.asked_at - times[newest])
    return max(late)


def _failed(recorder: Recorder) -> int:
    return sum(recorder.total(name) for name in ("unavailable", "interrupted", "cut"))


def _warnings(stage: Stage) -> int:
    """What the log says about swaps that failed."""
    text = stage.log.read_text()
    return text.count("event=champion-unusable") + text.count("event=registry-away")
