"""The simulation asks a real service as clients do, and the service's own reports show what it has done."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from serialize import load
from serialize.recipes import RECIPES
from service import simulation
from service.__main__ import main
from service.http_client import HttpClient, NoAnswer
from service.simulation import Row, Served
from tests.passengers import ARTIFACTS, PROJECT
from tests.served import environment, free_port, serve

KEY = "the-key-of-a-client"
FAST = ("--rate", "2000", "--delay", "0.1")


def run(url: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service", "simulate", "--url", url, *FAST, *arguments]
    given = environment(COLUMNS="200", **variables)
    return subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, check=False)


def told(output: str, name: str) -> str:
    (found,) = re.findall(rf"│ {name} +│ (.*?) *│", output)
    return str(found)


def planned(count: int, seed: int = 0, shifts: tuple[str, ...] = ()) -> list[Row]:
    manifest = load(ARTIFACTS).manifest
    served = Served(manifest.name, manifest.task, manifest.signature, None)
    return simulation.rows(served, RECIPES, count, shifts=shifts, seed=seed, delay=2.0)


def test_older_passengers_are_predicted_labelled_and_named_as_drifted(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"API_KEY": KEY}) as served:
        ran = run(served.url, "--rows", "400", "--label-share", "0.5", "--shift", "Age=+10", API_KEY=f"{KEY}, other")
        keyed = {"X-API-Key": KEY}
        performance = requests.get(served.url + "/performance", headers=keyed, timeout=10).json()
        drift = requests.get(served.url + "/drift", headers=keyed, timeout=10).json()

    assert ran.returncode == 0, ran.stderr
    assert (told(ran.stdout, "answered"), told(ran.stdout, "refused")) == ("400", "0")
    assert performance["count"] == 400
    assert 150 < performance["labelled"] == int(told(ran.stdout, "labelled")) < 250
    assert f"accuracy {performance['metrics']['accuracy']['value']:.4g}" in ran.stdout
    assert "Age" in drift["drifted"]
    assert "Age (distribution)" in told(ran.stdout, "in /drift")


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_models_of_every_task_are_simulated(artifacts: dict[str, Path], tmp_path: Path, name: str) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=artifacts[name]) as served:
        first, again = (run(served.url, "--rows", "40", "--label-share", "1") for _ in range(2))
        count = requests.get(served.url + "/performance", timeout=10).json()["labelled"]

    assert (first.returncode, again.returncode, count) == (0, 0, 80), first.stderr
    assert told(again.stdout, "labelled") == "40"
    assert told(again.stdout, "in /drift") == "nothing has drifted"


def test_what_the_service_refuses_is_counted_and_a_missing_key_ends_it(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"API_KEY": KEY}) as served:
        refused = run(served.url, "--rows", "20", "--shift", "Age=500", API_KEY=KEY)
        closed = run(served.url, "--rows", "20")
        unknown = run(served.url, "--rows", "20", "--shift", "Agee=+1", "--api-key", KEY)

    assert (told(refused.stdout, "answered"), told(refused.stdout, "refused")) == ("0", "20")
    assert "20 times, first" in refused.stdout
    assert told(refused.stdout, "in /drift") == "too few rows to say"
    assert (closed.returncode, unknown.returncode) == (1, 2)
    assert "401" in closed.stderr
    assert "Agee" in unknown.stderr


def test_nobody_at_the_url_is_said_after_a_while() -> None:
    waited: list[float] = []
    client = HttpClient(f"http://127.0.0.1:{free_port()}", pause=waited.append)

    with pytest.raises(NoAnswer, match="ConnectionRefusedError"):
        client.get("/model")

    assert 60 <= sum(waited) < 70


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "ftp://localhost", "http://", "http://localhost:99999", "http://localhost:x", "http://[::1"),
        *("http://localhost/a b", "http://localhost/\u00fc"),
    ],
)
def test_what_is_no_url_is_said_at_once(url: str) -> None:
    with pytest.raises(NoAnswer, match="no URL of http or https"):
        HttpClient(url)


def test_a_key_that_no_header_holds_is_said_at_once() -> None:
    with pytest.raises(NoAnswer, match="The key has characters"):
        HttpClient("http://localhost", "\u20ac")


@pytest.mark.parametrize("option", ["--rate", "--delay", "--label-share"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_finite_number_is_refused(option: str, value: str) -> None:
    ran = CliRunner().invoke(main, ["simulate", option, value])

    assert (ran.exit_code, option in ran.output) == (2, True)


def test_a_service_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path}/log.db", free_port()
    with serve(tmp_path, url, port=port) as served:
        client = HttpClient(served.url, pause=lambda _: None)
        assert client.get("/livez").status == 200
        served.kill()
    with serve(tmp_path, url, port=port):
        assert client.get("/livez").status == 200
    client.close()


def test_ids_are_new_each_time_and_the_rest_follows_the_seed() -> None:
    one, same, other = planned(1400), planned(1400), planned(1400, seed=1)

    assert len({row.id for row in [*one, *same]}) == 2800
    assert [row.observation for row in one] == [row.observation for row in same]
    assert [row.observation for row in one] != [row.observation for row in other]
    assert all(row.delay is None or 0 <= row.delay <= 4 for row in one)
    assert 1200 < sum(row.delay is not None for row in one) < 1320
