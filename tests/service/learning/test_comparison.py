"""Two models are compared over HTTP and by command, on the same labelled rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from peewee import ModelDelete

from serialize.content import Content, read_content
from serialize.task import Task
from service.__main__ import main
from service.learning.comparison import losses_of
from service.learning.replay import replay_of
from service.registry.registry import Registry
from service.storage.learning.pairs import Pairs
from service.storage.learning.tables import ShadowScore
from service.storage.session import Session
from tests.conftest import Client
from tests.service.conftest import KEY, fill

ROWS = 60


@pytest.fixture
def both(service: Client, session: Session, models: Registry, twin: Content) -> tuple[str, str]:
    """The versions of the champion, and of its twin, which scored 40 of 60 labelled rows: the opposite of the label."""
    champion = fill(service, ROWS)
    models.register(twin, "me@here")
    replay_of(session, models, twin.version, compiled=True).run(after=ROWS - 40)
    wrong = "SELECT CASE WHEN true_class = 'true' THEN 0.0 ELSE 1.0 END FROM prediction WHERE id = prediction_id"
    session.run(lambda: session.database.execute_sql(f"UPDATE shadow_score SET proba = ({wrong})"))
    return champion, twin.version


def compared(service: Client, first: str, second: str, more: str = "") -> dict[str, Any]:
    answer = service.get(f"/performance?compare={first},{second}{more}")
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json["comparison"]
    return found


def test_both_are_compared_on_the_rows_that_both_answered(service: Client, both: tuple[str, str]) -> None:
    champion, twin = both

    found, reverse = compared(service, champion, twin), compared(service, twin, champion)

    assert (found["first"], found["second"], found["loss"]) == (champion, twin, "brier_score")
    assert (found["rows"], found["only_first"], found["only_second"]) == (40, 20, 0)
    assert found["second_loss"] == 1.0
    assert found["difference"]["value"] == pytest.approx(1 - found["first_loss"])
    assert 0 < found["difference"]["low"] < found["difference"]["value"] < found["difference"]["high"]
    assert (found["better"], reverse["better"]) == ("first", "second")
    assert reverse["difference"]["low"] == pytest.approx(-found["difference"]["high"], abs=0.01)
    assert (reverse["only_first"], reverse["only_second"]) == (0, 20)


def test_the_report_is_otherwise_the_same_and_takes_the_other_parameters(
    service: Client, both: tuple[str, str]
) -> None:
    champion, twin = both
    query = f"&by=Sex&window=1d&since=2020-01-01&model_version={champion}"

    body = service.get(f"/performance?compare={champion},{twin}{query}").json

    assert body.pop("comparison")["rows"] == 40
    assert body == service.get(f"/performance?{query[1:]}").json


def test_only_rows_of_the_given_time_are_compared(service: Client, both: tuple[str, str]) -> None:
    found = compared(service, *both, more="&until=2020-01-01")

    assert (found["rows"], found["only_first"], found["first_loss"]) == (0, 0, None)
    assert (found["difference"], found["better"]) == ({"value": None, "low": None, "high": None}, "neither")


def test_a_model_is_no_better_than_itself(service: Client, both: tuple[str, str]) -> None:
    found = compared(service, both[0], both[0])

    assert (found["rows"], found["difference"], found["better"]) == (
        ROWS, {"value": 0.0, "low": 0.0, "high": 0.0}, "neither",
    )  # fmt: skip


@pytest.mark.parametrize("place", [0, 1])
def test_an_unknown_version_is_404(service: Client, place: int) -> None:
    versions = [fill(service, 1), fill(service, 1)]
    versions[place] = "000000000000"

    answer = service.get(f"/performance?compare={','.join(versions)}")

    assert (answer.status_code, answer.json["title"]) == (404, "Unknown model")
    assert answer.json["detail"] == 'compare: there is no model "000000000000" in the registry.'


@pytest.mark.parametrize("value", ["a", "a,b,c", ",b", "a,", "a%00,b"])
def test_other_than_two_versions_are_422(service: Client, value: str) -> None:
    answer = service.get(f"/performance?compare={value}&by=x")

    assert answer.status_code == 422
    assert {one["pointer"] for one in answer.json["errors"]} == {"/compare", "/by"}


def test_models_of_other_tasks_are_422(service: Client, models: Registry, artifacts: dict[str, Path]) -> None:
    champion, iris = fill(service, 3), models.register(read_content(artifacts["iris"]), "me@here").version

    answer = service.get(f"/performance?compare={champion},{iris}")

    assert (answer.status_code, [one["pointer"] for one in answer.json["errors"]]) == (422, ["/compare"])


def test_errors_that_are_too_large_to_be_squared_give_no_figures() -> None:
    large = np.array([1e300, -1e300])
    pairs = Pairs(np.arange(2), np.arange(2), large, -large, large)

    found = losses_of(Task("regression"), pairs)

    assert (found.name, found.rows, found.first == found.first) == ("squared_error", 2, False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Any:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ("compare", *arguments))

    return run


def test_the_command_says_the_same(service: Client, session: Session, both: tuple[str, str], run: Any) -> None:
    champion, twin = both

    assert json.loads(run(champion, twin, "--json").output) == compared(service, champion, twin)
    lines = run(champion, twin).output.splitlines()
    assert lines[0] == (f"40 labelled rows have an answer of both; 20 only of {champion}, 0 only of {twin}.")
    assert lines[1].startswith("Brier score: 0.")
    assert lines[2] == f"{champion} is significantly better."
    assert "There is no model 000000000000" in run(champion, "0" * 12).output

    session.run(lambda: ModelDelete(ShadowScore).execute(session.database))
    assert run(champion, twin).output.splitlines() == [
        f"0 labelled rows have an answer of both; 60 only of {champion}, 0 only of {twin}."
    ]
