"""The simulation sends traffic to a real service, and the reports of the service show it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from service.__main__ import main
from tests import ONE_THREAD
from tests.support.passengers import PROJECT
from tests.support.served import environment, serve

pytestmark = pytest.mark.long  # real services, in real time

KEY = "the-key-of-a-client"
FAST = ("--rate", "2000", "--delay", "0.1")


def run(url: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return service("simulate", "--url", url, *FAST, *arguments, **variables)


def service(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command, given = [sys.executable, "-m", "service", *arguments], environment(COLUMNS="200", **variables)
    return subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, check=False)


def printed(output: str, name: str) -> str:
    (found,) = re.findall(rf"│ {name} +│ (.*?) *│", output)
    return str(found)


def test_older_passengers_are_predicted_labelled_and_reported_as_drift(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"API_KEY": KEY}) as served:
        ran = run(
            served.url,
            "--rows",
            "400",
            "--label-share",
            "0.5",
            "--shift",
            "Age=+10",
            API_KEY=f"{KEY}, another-key-of-a-client",
        )
        keyed = {"X-API-Key": KEY}
        performance = requests.get(served.url + "/performance", headers=keyed, timeout=10).json()
        drift = requests.get(served.url + "/drift", headers=keyed, timeout=10).json()

    assert ran.returncode == 0, ran.stderr
    assert (printed(ran.stdout, "answered"), printed(ran.stdout, "refused")) == ("400", "0")
    assert performance["count"] == 400
    assert 150 < performance["labelled"] == int(printed(ran.stdout, "labelled")) < 250
    assert f"accuracy {performance['metrics']['accuracy']['value']:.4g}" in ran.stdout
    assert "Age" in drift["drifted"]
    assert "Age (distribution)" in printed(ran.stdout, "in /drift")


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_models_of_every_task_are_simulated(artifacts: dict[str, Path], tmp_path: Path, name: str) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=artifacts[name]) as served:
        first, again = (run(served.url, "--rows", "40", "--label-share", "1") for _ in range(2))
        count = requests.get(served.url + "/performance", timeout=10).json()["labelled"]

    assert (first.returncode, again.returncode, count) == (0, 0, 80), first.stderr
    assert printed(again.stdout, "labelled") == "40"
    assert printed(again.stdout, "in /drift") == "no drift"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with own.csv, which has the columns id, code (with leading zeros), size (with nulls) and sold (0 or 1),
    and with the artifact of a model that `train` made of it."""
    folder = tmp_path_factory.mktemp("own")
    sizes = [number * 7 % 60 for number in range(120)]
    rows = [f"{i},{i % 4:05},{size if i % 9 else ''},{int(size + i % 5 > 32)}" for i, size in enumerate(sizes)]
    (folder / "own.csv").write_text("\n".join(["id,code,size,sold", *rows]) + "\n")
    train = ["train", "own.csv", "--target", "sold", "--drop", "id", "--string", "code", "-o", "artifacts"]
    subprocess.run(
        [sys.executable, "-m", "serialize", *train],
        cwd=folder,
        env=environment(**ONE_THREAD, PYTHONPATH=str(PROJECT)),
        check=True,
        capture_output=True,
    )
    return folder


def test_a_model_of_ones_own_is_simulated_with_the_rows_of_a_file(own: Path, tmp_path: Path) -> None:
    url, data = f"sqlite:///{tmp_path}/log.db", str(own / "own.csv")
    keys = {"API_KEY": KEY, "ADMIN_KEY": "the-key-of-an-admin"}
    with serve(tmp_path, url, artifacts=own / "artifacts", variables=keys) as served:
        where = {"PORT": str(served.port), "HOST": "0.0.0.0"}
        sent = service("simulate", "--data", data, "--target", "sold", *FAST, "--rows", "150", **where, **keys)
        seeded, again = (
            service("seed", "--data", data, "--target", "sold", ADMIN_KEY=keys["ADMIN_KEY"], **where) for _ in range(2)
        )
        built_in = [service(command, **where, **keys) for command in ("simulate", "seed")]
        closed = service("seed", "--data", data, **where)
        headers = {"X-API-Key": keys["ADMIN_KEY"]}
        performance = requests.get(served.url + "/performance", headers=headers, timeout=10).json()
        row = requests.get(served.url + "/predictions?limit=1", headers=headers, timeout=10).json()["predictions"][0]
        reported = service(
            "report", "-o", str(tmp_path / "report.html"), DATABASE_URL=url, ARTIFACTS=str(own / "artifacts")
        )

    assert (sent.returncode, seeded.returncode, again.returncode) == (0, 0, 0), sent.stderr + seeded.stderr
    assert "ignored, the model does not have them: id." in sent.stderr
    assert "no labels are sent" not in sent.stderr
    assert (printed(sent.stdout, "answered"), printed(sent.stdout, "refused")) == ("150", "0")
    assert [printed(ran.stdout, "labelled") for ran in (seeded, again)] == ["120", "120"]
    assert performance["count"] == 150 + 120
    assert performance["labelled"] == int(printed(sent.stdout, "labelled")) + 120
    assert performance["metrics"]["accuracy"]["value"] > 0.9
    assert row["observation"]["code"] in {"00000", "00001", "00002", "00003"}
    for ran in built_in:
        assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1)
        assert "fits the model own; give rows of your own" in ran.stderr
    assert (closed.returncode, "set API_KEY or give --api-key (401)" in closed.stderr) == (1, True)
    assert (reported.returncode, "270 predictions" in reported.stdout) == (0, True)


def test_a_file_that_lacks_a_column_of_the_model_ends_the_command(own: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("code,sold\n00001,1\n")
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=own / "artifacts") as served:
        ended = [
            service(command, "--url", served.url, "--data", str(tmp_path / "other.csv"), "--target", "sold")
            for command in ("simulate", "seed")
        ]
        count = requests.get(served.url + "/performance", timeout=10).json()["count"]

    for ran in ended:
        assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1)
        assert "other.csv has no column 'size', which the model needs; give a file with code, size." in ran.stderr
    assert count == 0


def test_refused_rows_are_counted_and_a_missing_key_ends_the_simulation(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"API_KEY": KEY}) as served:
        refused = run(served.url, "--rows", "20", "--shift", "Age=500", API_KEY=KEY)
        closed = run(served.url, "--rows", "20")
        unknown = run(served.url, "--rows", "20", "--shift", "Agee=+1", "--api-key", KEY)

    assert (printed(refused.stdout, "answered"), printed(refused.stdout, "refused")) == ("0", "20")
    assert "20 times, first" in refused.stdout
    assert printed(refused.stdout, "in /drift") == "too few rows to test"
    assert (closed.returncode, unknown.returncode) == (1, 2)
    assert "401" in closed.stderr
    assert "Agee" in unknown.stderr


@pytest.mark.parametrize("option", ["--rate", "--delay", "--label-share"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_an_option_that_is_not_a_finite_number_is_refused(option: str, value: str) -> None:
    ran = CliRunner().invoke(main, ["simulate", option, value])

    assert (ran.exit_code, option in ran.output) == (2, True)
