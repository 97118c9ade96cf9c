"""The service learns from its log: the world changes, a retrained model takes over under load, a challenger from noise
is refused, and a bad promotion is undone."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from serialize.dumping import dump
from serialize.recipes.titanic import titanic
from service.storage.connection import connect
from service.storage.tables import Prediction
from tests.support.passengers import PROJECT
from tests.support.served import Served, environment, serve
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

ADMIN = {"Authorization": "Bearer " + "a" * 32}
VARIABLES = {"MODEL_SIGNING_KEY": "k" * 32, "ADMIN_KEY": "a" * 32}
TRAINED, BATCH, SENDERS = 700, 300, 4

# The worker, which looks at a promotion every second and not every minute.
_WORKER = """
from service.cli.worker import worker
from service.learning import rounds

rounds._EVERY_SECONDS = 1
worker()
"""

Row = dict[str, Any]


class World:
    """Passengers that no model was trained on, with their outcomes. In the changed world women die as men did."""

    def __init__(self) -> None:
        recipe = titanic()
        self._outcomes = recipe.y.to_numpy()[TRAINED:]
        self._rows: list[Row] = json.loads(recipe.X[TRAINED:].to_json(orient="records", double_precision=15))
        self._chosen = np.random.default_rng(0)

    def passengers(self) -> tuple[list[Row], list[bool]]:
        """The 609 passengers that the first model was not trained on."""
        return self._rows, [bool(outcome) for outcome in self._outcomes]

    def changed(self, count: int, *, noise: bool = False) -> tuple[list[Row], list[bool]]:
        """Passengers of the changed world, each with a fare of its own; the outcomes are random if they are `noise`."""
        rows, outcomes = [], []
        for place in self._chosen.integers(0, len(self._rows), count):
            row = self._rows[place]
            other = "male" if row["Sex"] == "female" else "female"
            rows.append({**row, "Sex": other, "Fare": round(float(self._chosen.uniform(5, 80)), 4)})
            outcomes.append(bool(self._chosen.random() < 0.5 if noise else self._outcomes[place]))
        return rows, outcomes


class Caller:
    """Sends observations with their labels to one service, and counts the ids."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.sent = 0

    def send(self, world: tuple[list[Row], list[bool]], name: str = "row") -> None:
        """Asks for predictions, and sends the true class of each."""
        for start in range(0, len(world[0]), BATCH):
            rows, outcomes = (each[start : start + BATCH] for each in world)
            ids = [f"{name}-{self.sent + i}" for i in range(len(rows))]
            self._post("/predict", [{"id": id_, "observation": row} for id_, row in zip(ids, rows, strict=True)])
            self._post("/update", [{"id": id_, "true_class": one} for id_, one in zip(ids, outcomes, strict=True)])
            self.sent += len(rows)

    def _post(self, path: str, items: list[Row]) -> None:
        answer = self._served.post(path, items)
        assert answer.status_code == 200, answer.text


class Senders:
    """Single predictions and their true classes from several threads, to all services, for as long as the block runs.
    `failures` has each request that was not answered 200."""

    def __init__(self, services: list[Served], world: tuple[list[Row], list[bool]]) -> None:
        self._services, self._world = services, list(zip(*world, strict=True))
        self._stopping = threading.Event()
        self.answered: list[str] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._send, args=(i,)) for i in range(SENDERS)]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        url, count = self._services[number % len(self._services)].url, 0
        with requests.Session() as session:
            while not self._stopping.wait(0.01):
                id_, (row, outcome) = f"sender-{number}-{count}", self._world[count % len(self._world)]
                row = {**row, "Fare": count + number / SENDERS}
                self._post(session, url + "/predict", {"id": id_, "observation": row})
                self._post(session, url + "/update", {"id": id_, "true_class": outcome})
                self.answered.append(id_)
                count += 1

    def _post(self, session: requests.Session, url: str, body: Row) -> None:
        try:
            answer = session.post(url, json=body, timeout=30)
            if answer.status_code != 200:
                self.failures.append(answer.text)
        except requests.RequestException as error:
            self.failures.append(repr(error))


@contextmanager
def working(folder: Path, database_url: str) -> Iterator[None]:
    """A worker until the block ends."""
    given = environment(DATABASE_URL=database_url, **VARIABLES)
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-c", _WORKER]
        worker = subprocess.Popen(command, cwd=PROJECT, env=given, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        worker.terminate()
        with suppress(subprocess.TimeoutExpired):
            worker.wait(60)
        worker.kill()
        worker.wait()


def retrain(served: Served, **arguments: Any) -> dict[str, Any]:
    """Asks for a retraining, as soon as a worker is there, and returns the job when it has ended."""
    answers: list[requests.Response] = []

    def accepted() -> bool:
        answers.append(served.post("/admin/retrain", arguments, headers=ADMIN))
        return answers[-1].status_code == 202

    until(accepted)
    place = served.url + answers[-1].headers["Location"]
    # It is paced while the senders send.
    until(lambda: requests.get(place, headers=ADMIN, timeout=30).json()["state"] not in ("queued", "running"), 300)
    job: dict[str, Any] = requests.get(place, headers=ADMIN, timeout=30).json()
    assert job["state"] == "succeeded", job
    return job


def version(served: Served) -> str:
    """The version that a new connection gets."""
    return str(requests.get(served.url + "/livez", timeout=30).headers["X-Model-Version"])


def have_swapped(services: list[Served], wanted: str, times: int = 1) -> bool:
    """Whether both workers of each service have swapped to this version so many times."""
    return all(served.log.read_text().count(f"event=swap version={wanted}") == 2 * times for served in services)


def accuracy(served: Served, of: str) -> float:
    """The accuracy of a version on the rows that it answered."""
    found = served.session.get(served.url + f"/performance?model_version={of}", headers=ADMIN, timeout=60).json()
    return float(found["metrics"]["accuracy"]["value"])


@pytest.fixture(scope="module")
def first_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 700 passengers, with its training data."""
    folder = tmp_path_factory.mktemp("first") / "artifacts"
    recipe = titanic()
    X, y = recipe.X[:TRAINED], recipe.y[:TRAINED]
    pipeline = recipe.pipeline.fit(X, y)
    dump(
        pipeline, X, y, folder, include_training_data=True, metrics="none", importances=False,
        nullable=["Fare", "Embarked"], **recipe.declared,
    )  # fmt: skip
    return folder


def test_a_retrained_model_takes_over_and_a_bad_promotion_is_undone(
    tmp_path: Path, database_url: str, first_model: Path
) -> None:
    world = World()
    with ExitStack() as stack:
        stack.enter_context(working(tmp_path, database_url))
        services = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            services.append(
                stack.enter_context(serve(folder, database_url, artifacts=first_model, variables=VARIABLES))
            )
        first = version(services[0])
        caller = Caller(services[0])
        caller.send(world.passengers())
        before = accuracy(services[0], first)
        caller.send(world.changed(1500))
        changed = accuracy(services[0], first)
        assert changed < before - 0.1

        with Senders(services, world.changed(500)) as senders:
            job = retrain(services[1], promote=True)
            second = job["result"]["challenger"]
            assert (job["result"]["outcome"], job["result"]["promoted"]) == ("better", True)
            until(lambda: have_swapped(services, second))
        assert senders.failures == []

        caller.send(world.changed(300))
        assert accuracy(services[0], second) > changed + 0.1

        caller.send(world.changed(600, noise=True), "noise")
        refused = retrain(services[0], promote=True, ids="noise-")["result"]
        assert refused["outcome"] != "better"
        assert not refused["promoted"]
        assert have_swapped(services, second)

        body = {"reason": "by mistake", "force": True}
        answer = services[0].post(f"/admin/models/{first}/promote", body, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        until(lambda: have_swapped(services, first))
        caller.send(world.changed(450))
        until(lambda: have_swapped(services, second, times=2))
        history = requests.get(services[0].url + "/models", headers=ADMIN, timeout=30).json()

    assert history["champion"] == second
    assert caller.sent + len(senders.answered) == rows_of(database_url)


def rows_of(database_url: str) -> int:
    """The number of predictions in the log."""
    database = connect(database_url)
    with database.connection_context():
        return int(Prediction.select().count(database))
