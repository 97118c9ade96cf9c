"""The command that retrains in a process of its own, and shows the verdict."""

import io
import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from serialize.content import read_content
from service.__main__ import main
from service.cli import retrain as command
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.models.store import REGISTERED
from service.storage.session import Session
from tests.support.flipped import COLUMNS, make, registered_before_the_log, world, write_log
from tests.support.passengers import PROJECT
from tests.support.waiting import until

KEY = "k" * 32


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["retrain", *arguments])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Settings:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)
    return Settings(database_url=database_url, model_signing_key=KEY)


def with_log(
    settings: Settings, session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Registry, str]:
    """A registry with a champion, and a log of a world that has changed."""
    monkeypatch.setattr("service.registry.release.prove", lambda _: {})
    champion = make(folder / "champion").version
    registry = registry_of(settings, session)
    assert registry is not None
    registry.register(read_content(folder / "champion"), "me@here")
    registry.promote(champion, "me@here")
    session.database.connect(reuse_if_open=True)
    registered_before_the_log(registry, session.database, champion)
    write_log(session.database, *world(1000, seed=2, is_flipped=True), champion)
    return registry, champion


@pytest.mark.long  # runs in processes of its own
def test_the_command_retrains_and_promotes(
    environment: Settings, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, champion = with_log(environment, session, tmp_path, monkeypatch)
    X, truth = world(60, seed=3, is_flipped=True)
    pd.DataFrame(X, columns=COLUMNS).assign(outcome=truth).to_csv(tmp_path / "own.csv", index=False)
    own = ("--data", str(tmp_path / "own.csv"), "--target", "outcome")

    tried = run("--dry-run", "--guard", "group", "--window", "400", *own)
    assert tried.exit_code == 0, tried.output
    assert "Verdict: better. " in tried.stdout
    assert "1,000 labelled rows: 400 to learn from, 300 to choose the candidate, 300 to judge" in tried.stdout
    assert "Loading the champion, 0 %" in tried.stderr
    assert registry.promotions.champion() == champion

    done = run("--promote", "--json", *own)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["promoted"], found["verdict"]["rows"]["own"]) == (True, 60), found["message"]
    assert registry.promotions.champion() == found["challenger"]
    assert registry.model(found["challenger"]).state == REGISTERED
    listed = CliRunner().invoke(main, ["models"]).output
    assert "better" in listed


@pytest.mark.long  # starts processes
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_ctrl_c_ends_the_process_and_leaves_no_files(
    environment: Settings, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_log(environment, session, tmp_path, monkeypatch)
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setenv("TMPDIR", str(files))
    with subprocess.Popen([sys.executable, "-m", "service", "retrain"], cwd=PROJECT, stderr=subprocess.PIPE) as process:
        until(lambda: any(files.glob("retrained-*")))
        (child,) = psutil.Process(process.pid).children()

        child.suspend()  # so that it is not done before
        process.send_signal(signal.SIGINT)
        with suppress(psutil.NoSuchProcess):
            child.resume()

        assert process.wait(60) == 1
    assert not child.is_running()
    assert list(files.iterdir()) == []


@pytest.mark.long  # starts a process
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_error_is_one_sentence(environment: Settings, session: Session) -> None:
    for arguments, sentence in (
        ((), "The registry has no champion; run `python -m service release` first."),
        (("--window", "2 weeks"), "window: expected a number of rows such as 500, or of days such as 14d"),
    ):
        found = run(*arguments)
        assert found.exit_code == 1
        assert sentence in found.stderr.splitlines()[-1]


@pytest.mark.long  # starts a process
def test_a_database_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)

    found = run("--dry-run")

    assert found.exit_code == 1
    sentence = "Error: The database of DATABASE_URL cannot be used: no connection: no server listens"
    assert found.stderr.splitlines()[-1].startswith(sentence)


def test_a_file_needs_the_column_of_its_labels() -> None:
    found = run("--data", "own.csv")

    assert found.exit_code == 2
    assert "give it with --target" in found.stderr


@pytest.mark.usefixtures("environment", "session")
def test_a_process_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'import sys; print(\'{"share": 0.5, "sentence": "x"}\'); sys.exit(\'no luck\')'
    monkeypatch.setattr(command, "_COMMAND", ("python3", "-c", script))

    found = run()

    assert found.exit_code == 1
    assert found.stderr.splitlines()[-1] == (
        "Error: The process that retrains ended with status 1, perhaps for lack of memory. no luck"
    )


def test_the_verdict_is_shown_with_both_models() -> None:
    shown = io.StringIO()

    command.show(result(), Console(file=shown, width=120))

    text = shown.getvalue()
    for part in (
        "all rows", "chosen", "the pipeline takes no weights", "brier score", "0.1900", "-0.1100 (-0.1300 to -0.0900)",
        "log loss", "group = 1.0", "(not worse)", "Predicted true: 90 of 100 rows have a label (90%).",
        "Left out: 7 rows (equal to a training row).", "Verdict: better. All good.",
    ):  # fmt: skip
        assert part in text, (part, text)


def result() -> dict[str, Any]:
    both = {"champion": 0.3, "challenger": 0.19}
    figures = {
        "loss": "brier_score", "rows": 300, **both, "difference": -0.11, "low": -0.13, "high": -0.09, "level": 0.025,
        "log_loss": both, "expected_calibration_error": both,
        "predicted_positive": {"champion": None, "challenger": None},
        "coverage": [{"predicted_class": True, "labelled": 90, "all": 100, "share": 0.9}],
        "guards": [{"column": "group", "value": 1.0, "rows": 150, "difference": -0.1, "p_value": 1, "is_worse": False}],
    }  # fmt: skip
    rows = {
        "labelled": 1000, "too_young": 5, "training": 400, "choosing": 300, "holdout": 293, "left_out": {},
        "left_out_of_holdout": {"equal to a training row": 7}, "own_left_out": {},
    }  # fmt: skip
    candidates = [
        {"name": "all rows", "rows": 800, "loss": 0.2, "skipped": None},
        {
            "name": "all rows, weighted by recency",
            "rows": None,
            "loss": None,
            "skipped": "the pipeline takes no weights",
        },
    ]
    verdict = {"figures": figures, "rows": rows, "candidates": candidates, "candidate": "all rows"}
    return {"outcome": "better", "message": "All good.", "verdict": verdict}
