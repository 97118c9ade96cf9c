"""The command `adopt` lists the pickles and asks before it unpickles them, and refuses bad input in one sentence."""

import hashlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from serialize import load
from serialize.__main__ import main
from tests.support.original_model import write_original

RNG = np.random.default_rng(0)
X = pd.DataFrame({"age": RNG.normal(40, 10, 40), "rank": RNG.integers(1, 4, 40)})
Y = (X["age"] + RNG.normal(0, 5, 40) > 40).astype(int)

pytestmark = pytest.mark.usefixtures("in_this_process")

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command in a folder that holds rows.csv and the folder `original`; input answers a question."""
    monkeypatch.chdir(tmp_path)
    X.assign(survived=Y).to_csv("rows.csv", index=False)
    write_original(tmp_path / "original", LogisticRegression().fit(X, Y), X)
    return lambda *options, input=None: CliRunner().invoke(
        main, ["adopt", "original", "-o", "model", *options], input=input
    )


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serialize.cli.adopt._is_terminal", lambda: True)


def never_unpickles(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpickled(content: bytes) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr("serialize.original.adoption.unpickled_dtypes", unpickled)
    monkeypatch.setattr("serialize.original.adoption.unpickled_pipeline", unpickled)


def test_a_trusted_original_becomes_an_artifact(cli: Cli) -> None:
    made = cli("--data", "rows.csv", "--target", "survived", "--trust", "--bounds", "age=0:120")

    assert made.exit_code == 0, made.output
    digest = hashlib.sha256(Path("original/pipeline.pickle").read_bytes()).hexdigest()
    size = Path("original/pipeline.pickle").stat().st_size
    assert f"  original/pipeline.pickle: {size:,} bytes, sha256 {digest}\n" in made.stderr
    assert "original/dtypes.pickle: " in made.stderr
    assert (
        "The metrics are those of rows.csv. If the pipeline was fitted on it, they are too optimistic." in made.stdout
    )
    assert "40 observations get the same answers as in the original app." in made.stdout
    manifest = load("model").manifest
    assert (manifest.name, manifest.metrics["method"]) == ("original", "in-sample")
    assert next(iter(manifest.signature)).maximum == 120
    shown = CliRunner().invoke(main, ["show", "model"])
    assert shown.exit_code == 0
    assert "original, version" in shown.output


def test_without_a_target_there_are_no_metrics(cli: Cli) -> None:
    made = cli("--data", "rows.csv", "--trust", "--name", "ship", "--threshold", "0.4")

    assert made.exit_code == 0, made.output
    assert "metrics: none" in made.stdout
    assert "baseline" not in made.stdout
    manifest = load("model").manifest
    assert (manifest.name, manifest.task.threshold) == ("ship", 0.4)


def test_a_column_of_objects_with_numbers_gets_a_note(cli: Cli) -> None:
    write_original(Path("original"), LogisticRegression().fit(X, Y), X.astype({"rank": object}))

    made = cli("--data", "rows.csv", "--trust")

    assert made.exit_code == 0, made.output
    assert (
        "Note: 'rank' is a column of objects, and rows.csv has only numbers or booleans for it; if the original got "
        "texts, give --string rank.\n"
    ) in made.stderr


def test_without_data_it_says_what_is_weaker(cli: Cli) -> None:
    made = cli("--trust")

    assert made.exit_code == 0, made.output
    assert "Without --data the model is weaker:" in made.stderr
    assert "There are no metrics" in made.stderr
    assert "1 observation gets the same answer as in the original app." in made.stdout
    assert [column.nullable for column in load("model").manifest.signature] == [False, False]


def test_an_earlier_artifact_is_replaced(cli: Cli) -> None:
    assert cli("--trust", "--name", "first").exit_code == 0
    assert cli("--trust", "--name", "second").exit_code == 0
    assert load("model").manifest.name == "second"


@pytest.mark.usefixtures("terminal")
def test_it_asks_and_unpickles_after_a_yes(cli: Cli) -> None:
    made = cli("--data", "rows.csv", input="y\n")

    assert made.exit_code == 0, made.output
    assert made.stderr.index("sha256") < made.stderr.index("Do you trust them? [y/N]")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_nothing_is_unpickled_without_a_yes(answer: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    never_unpickles(monkeypatch)

    refused = cli("--data", "rows.csv", input=answer)

    assert refused.exit_code == 1
    assert refused.stderr.endswith("Aborted!\n")
    assert not Path("model").exists()


def test_without_a_terminal_it_refuses_unless_trusted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    never_unpickles(monkeypatch)

    refused = cli("--data", "rows.csv", input="y\n")

    assert refused.exit_code == 2
    assert refused.stderr.endswith("\nError: There is no terminal to ask on; give --trust if you trust these files.\n")


@pytest.mark.long  # a process of its own
def test_it_asks_on_a_real_terminal(cli: Cli, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "serialize", "adopt", "original", "-o", "model"]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        command, stdin=terminal, stderr=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}
    ) as process:
        os.write(controller, b"n\n")
        _, stderr = process.communicate(timeout=60)
    os.close(controller)
    os.close(terminal)

    assert process.returncode == 1
    assert stderr.decode().endswith("Do you trust them? [y/N]: Aborted!\n")


@pytest.mark.parametrize(
    "options",
    [("--target", "survived"), ("--bounds", "age=0:120"), ("--accept-unseen", "age"), ("--string", "age")],
)
def test_an_option_about_rows_needs_data(options: tuple[str, str], cli: Cli) -> None:
    refused = cli("--trust", *options)

    assert refused.exit_code == 2
    assert refused.stderr == f"Error: {options[0]} is about the rows of a file; give the file with --data.\n"


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("data", ["no.csv", "original"])
def test_data_that_are_no_file_are_refused_before_the_question(
    data: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_unpickles(monkeypatch)

    refused = cli("--data", data, input="y\n")

    assert refused.exit_code == 1
    assert refused.stderr == f"Error: {data} is not a file; give --data the file with the rows.\n"


def remove_columns() -> None:
    Path("original/columns.json").unlink()


def repeat_a_column() -> None:
    Path("original/columns.json").write_text('["age", "age"]')


def damage_the_pipeline() -> None:
    content = Path("original/pipeline.pickle").read_bytes()
    Path("original/pipeline.pickle").write_bytes(content[: len(content) // 2])


def write_no_probabilities() -> None:
    write_original(Path("original"), LinearSVC().fit(X, Y), X)


def write_other_dtypes() -> None:
    write_original(Path("original"), LogisticRegression().fit(X, Y), X.assign(other=1))
    Path("original/columns.json").write_text('["age", "rank"]')


def write_a_dictionary() -> None:
    write_original(Path("original"), {"no": "estimator"}, X)


def remove_a_column_of_the_rows() -> None:
    X[["age"]].assign(survived=Y).to_csv("rows.csv", index=False)


def fill_the_output() -> None:
    Path("model").mkdir()
    Path("model/thesis.txt").write_text("mine")


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (remove_columns, r"original/columns\.json is missing"),
        (repeat_a_column, r"original/columns\.json lists 'age' twice\."),
        (damage_the_pipeline, r"pipeline\.pickle cannot be unpickled \("),
        (write_no_probabilities, "LinearSVC has no predict_proba"),
        (write_other_dtypes, r"dtypes\.pickle has a dtype for 'other', which is not a column of columns\.json\."),
        (write_a_dictionary, "dict is not a scikit-learn estimator"),
        (remove_a_column_of_the_rows, r"rows\.csv has no column 'rank'"),
        (fill_the_output, r"holds other files \(thesis\.txt\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(break_it: Callable[[], None], says: str, cli: Cli) -> None:
    break_it()

    refused = cli("--data", "rows.csv", "--target", "survived", "--trust")

    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit)  # no traceback
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert re.search(says, last)
    assert not list(Path("model").glob("*.json")) if Path("model").exists() else True
