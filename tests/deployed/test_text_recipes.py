"""The recipes for text as the README shows them: trained on the standard library, served by two workers, asked by curl,
and filled by `seed` and `simulate`."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from service.client import Client
from tests import ONE_THREAD
from tests.support.passengers import PROJECT
from tests.support.served import Served, environment, serve

README = (PROJECT / "README.md").read_text()
COLUMNS = {"sections": ("title", "text"), "pairs": ("a", "b", "text")}

pytestmark = pytest.mark.long  # trains each recipe


def ran(*arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", *arguments]
    given = environment(**ONE_THREAD, **variables)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT, env=given, timeout=110)
    return done.stdout


@pytest.fixture(scope="module", params=list(COLUMNS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def service(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(name)
    assert "baseline" in ran("serialize", "recipe", name, "-o", str(folder / "artifacts"))
    with serve(folder, f"sqlite:///{folder}/log.db", artifacts=folder / "artifacts") as served:
        yield served


def test_the_curl_of_the_readme_is_answered(service: Served, name: str, tmp_path: Path) -> None:
    bodies = [json.loads(body) for body in re.findall(r"-d '([^']+)'", README)]
    (body,) = [one for one in bodies if isinstance(one, dict) and tuple(one.get("observation", ())) == COLUMNS[name]]
    url = shlex.quote(f"{service.url}/predict")
    command = f"curl -s -X POST {url} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"

    answer = json.loads(subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout)

    assert answer["predicted_class"] == {"sections": "networking", "pairs": "asyncio"}[name]
    assert sum(answer["probas"].values()) == pytest.approx(1)


def test_the_card_has_the_held_out_metrics_beside_the_baseline(service: Served, name: str) -> None:
    card = requests.get(service.url + "/model", timeout=10).json()

    metric, least, most_of_baseline = {"sections": ("f1_macro", 0.6, 0.1), "pairs": ("accuracy", 0.85, 0.55)}[name]
    assert card["metrics"]["splitter"] == "StratifiedGroupKFold"
    assert card["metrics"]["metrics"][metric]["mean"] > least
    assert card["metrics"]["baseline"][metric]["mean"] < most_of_baseline
    assert sum(card["class_counts"].values()) > 1000
    if name == "sections":  # the one step of "pairs" is called, so a compiled form may or may not save time
        assert card["compiled"]


def test_both_workers_give_the_same_answers(service: Served, name: str) -> None:
    texts = ["the same text for all", "another one, about a socket and its server"]
    observations: list[Any] = [{"title": "", "text": text} for text in texts]
    if name == "pairs":
        observations = [{"a": "email", "b": "http", "text": text} for text in texts]
    answers: list[list[Any]] = [[], []]
    for round_ in range(20):  # a new connection each time, so that both workers answer
        for i, observation in enumerate(observations):
            with Client(service.url) as client:
                answers[i].append(client.predict(f"same-{round_}-{i}", observation).probas)

    assert all(one == each[0] for each in answers for one in each)
    assert answers[0][0] != answers[1][0]


def test_seed_and_simulate_know_the_recipe(service: Served, name: str) -> None:
    seeded = ran("service", "seed", "--url", service.url, "--rows", "60")
    simulated = ran("service", "simulate", "--url", service.url, "--rows", "60", "--rate", "200", "--delay", "0.1")

    for printed in (seeded, simulated):
        assert re.search(r"answered +\W +60", printed)
        assert re.search(r"accuracy 0\.[89]|accuracy 1", printed)
    assert "unknown words" not in simulated
