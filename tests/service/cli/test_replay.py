"""`python -m service replay` says what a model scored, and what it refused."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from serialize.content import Content, read_content
from service.__main__ import main
from service.registry.registry import Registry
from service.storage.learning.tables import ShadowScore
from service.storage.session import Session
from tests.conftest import Client
from tests.service.conftest import KEY, fill
from tests.support import killed


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("replay", *arguments))


def test_the_command_counts_what_was_scored_and_refused(
    service: Client,
    models: Registry,
    artifacts: dict[str, Path],
) -> None:
    fill(service, 10)
    iris = models.register(read_content(artifacts["iris"]), "me@here").version

    first, again = run(iris, "--since", "2020-01-01"), run(iris)

    assert first.exit_code == 0, first.output
    lines = first.output.splitlines()
    assert lines[0] == f"{iris} scored 0 rows of the log."
    assert lines[1].startswith("It refused 10, by column: Age (10), Cabin (10)")
    assert again.output.splitlines() == [f"{iris} scored 0 rows of the log.", "It refused 10 before."]


@pytest.mark.long  # starts processes
def test_a_replay_that_is_killed_goes_on_at_any_step(
    service: Client, models: Registry, session: Session, twin: Content, database_url: str, tmp_path: Path
) -> None:
    fill(service, 10)
    models.register(twin, "me@here")
    variables = {"DATABASE_URL": database_url, "MODEL_SIGNING_KEY": KEY}
    counts = []
    for die_before in (1, 2, 0, 0):  # the insert, the commit
        ended = killed.run(("replay", twin.version), variables, tmp_path / "output", die_before)
        assert ended == (killed.KILLED if die_before else 0), (tmp_path / "output").read_text()
        counts.append(session.read(lambda: ShadowScore.select().count(session.database)))

    assert counts == [0, 0, 10, 10]
    assert (tmp_path / "output").read_text() == f"{twin.version} scored 0 rows of the log.\n"


def test_an_unknown_version_and_a_wrong_time_are_named(service: Client) -> None:
    assert "There is no model 000000000000" in run("000000000000").output
    assert "'yesterday' is not a date" in run("0" * 12, "--since", "yesterday").output


def test_a_retired_model_is_named(service: Client, models: Registry, twin: Content) -> None:
    models.register(twin, "me@here")
    models.retire(twin.version)

    assert f"Model {twin.version} is retired" in run(twin.version).output
    assert "register it again" in run(twin.version).output
