"""The command line makes, shows and verifies artifacts; an error is one line without a traceback."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from serialize import load
from serialize.__main__ import main
from tests.support.manifests import rewrite

SHIPPED = str(Path(__file__).parents[2] / "artifacts")
RNG = np.random.default_rng(0)
ROWS = 60
AGES = RNG.normal(40, 10, ROWS)
TABLE = pd.DataFrame(
    {
        "id": range(ROWS),
        "Age": AGES,
        "size [cm]": RNG.integers(1, 4, ROWS),
        "[/b]": np.array(["[red]", "blue"])[RNG.integers(0, 2, ROWS)],
        "survived": np.where(AGES + RNG.normal(0, 5, ROWS) > 40, "yes", "no"),
    }
)

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in a folder that holds table.csv, on a terminal that is wide enough for the tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    TABLE.to_csv("table.csv", index=False)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_a_csv_file_is_trained_on_shown_and_verified(cli: Cli) -> None:
    trained = cli(
        "train", "table.csv", "--target", "survived", "-o", "model", "--name", "[/x]", "--drop", "id",
        "--positive", "no", "--threshold", "0.4", "--bounds", "Age=0:120", "--bounds", "id=:5",
    )  # fmt: skip
    assert trained.exit_code == 1
    assert trained.stderr.startswith("Error: 'id' is declared but is not a column")

    trained = cli(
        "train", "table.csv", "--target", "survived", "-o", "model", "--name", "[/x]", "--drop", "id",
        "--positive", "no", "--threshold", "0.4", "--bounds", "Age=0:120", "--categories", "size [cm]",
        "--text", "[/b]", "--nullable", "Age",
    )  # fmt: skip
    shown, verified = cli("show", "model"), cli("verify", "model")

    assert (trained.exit_code, shown.exit_code, verified.exit_code) == (0, 0, 0)
    task = load("model").manifest.task
    assert (task.classes, task.positive_class, task.threshold) == (("no", "yes"), "no", 0.4)
    age, size, colour = load("model").manifest.signature
    assert (age.maximum, age.nullable, size.categories, colour.kind) == (120, True, (1, 2, 3), "text")
    assert all(text in shown.output for text in ("[/x], version", "positive class: no", "size [cm]", "[/b]", "roc_auc"))
    assert "digests match" in verified.output


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("option", "is_kept"), [((), True), (("--no-training-data",), False)])
def test_training_keeps_the_rows_unless_they_are_not_wanted(cli: Cli, option: tuple[str, ...], is_kept: bool) -> None:
    result = cli("train", "table.csv", "--target", "survived", "-o", "model", *option)

    assert result.exit_code == 0
    artifact = load("model")
    assert ("training.json.gz" in artifact.manifest.files) == is_kept
    if is_kept:
        data = artifact.training_data()
        pd.testing.assert_frame_equal(data.X, pd.read_csv("table.csv").drop(columns="survived"))
        assert data.y.tolist() == TABLE["survived"].tolist()


@pytest.mark.long  # each in a process of its own
@pytest.mark.parametrize("model", ["forest", "boosting"])
def test_every_model_is_trained(cli: Cli, model: str) -> None:
    assert cli("train", "table.csv", "--target", "survived", "-o", "model", "--model", model).exit_code == 0
    assert "table, version" in cli("show", "model").output


@pytest.mark.parametrize(
    ("metrics", "importances", "says"),
    [
        (
            {"accuracy": 0.25},
            {"columns": {"Sex": {"mean": 0.5, "std": 0.0}}, "note": "Few."},
            ("Metrics, given", "0.25"),
        ),
        ({"method": "none", "metrics": {}}, {"columns": {"Sex": {"mean": 0.5, "std": 0.0}}}, ("metrics: none",)),
    ],
)
def test_few_figures_are_shown(
    cli: Cli, tmp_path: Path, metrics: dict[str, Any], importances: dict[str, Any], says: tuple[str, ...]
) -> None:
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "few"))
    rewrite(folder, lambda manifest: manifest.update(metrics=metrics, importances=importances))

    shown = cli("show", str(folder))

    assert shown.exit_code == 0
    assert all(text in shown.output for text in says)
    assert re.search(r"Sex.* 0\.5000 ", shown.output)
    assert re.search(r"Age.* - ", shown.output)
    assert ("importance: Few." in shown.output) == ("note" in importances)


def test_an_identifier_and_a_constant_are_reported(cli: Cli, tmp_path: Path) -> None:
    TABLE.assign(one=1).to_csv("table.csv", index=False)

    result = cli("train", "table.csv", "--target", "survived", "-o", "model", "--threshold", "7")

    assert result.stderr.splitlines() == [
        "Note: id differs in every row, as an identifier does; --drop id?",
        "Note: one is the same in every row, so it is useless to the model; --drop one?",
        "Error: threshold 7.0 is not a probability; give a number from 0 to 1.",
    ]


@pytest.mark.long
def test_train_says_which_columns_are_strict_and_opens_one(cli: Cli) -> None:
    train = ("train", "table.csv", "--target", "survived", "-o", "model", "--drop", "id")

    strict, opened = cli(*train), cli(*train, "--accept-unseen", "[/b]", "--nullable", "Age", "--nullable", "size [cm]")
    shown = cli("show", "model", "--columns")

    assert strict.stderr.endswith(
        "The service will answer 422\n"
        '  to a value that is not listed, in [/b]; such as [/b]: expected one of "[red]", "blue"; got "unseen"\n'
        '    To accept it: accept_unseen=["[/b]"] (train, and adopt with --data: --accept-unseen COLUMN)\n'
        "  to null, in Age, size [cm], [/b]; such as Age: expected a number from -1e+15 to 1e+15; got null\n"
        '    To accept it: nullable=["Age", "size [cm]", "[/b]"] (train, and adopt with --data: --nullable COLUMN)\n'
    )
    assert "not listed" not in opened.stderr
    assert 'nullable=["[/b]"]' in opened.stderr
    assert 'a string of at most 1000 characters (known: "[red]", "blue")' in shown.stdout


def test_the_outcome_of_a_training_is_printed_with_the_next_step(cli: Cli, tmp_path: Path) -> None:
    rows = TABLE.assign(zip=[f"{number % 9:05}" for number in range(ROWS)])
    rows.loc[:4, "survived"] = None
    rows.to_csv("table.csv", index=False, sep=";", encoding="cp1252")

    result = cli(
        "train", "table.csv", "--target", "survived", "-o", "my model", "--drop", "id", "--sep", ";", "--encoding",
        "cp1252", "--string", "zip", "--drop-null-target", "--n-jobs", "2",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("Note: 5 rows without survived were left out.\n")
    assert result.stdout.startswith("task: binary\n")
    counts = rows.survived.value_counts()
    assert f"classes: no ({counts['no']}), yes ({counts['yes']})" in result.stdout
    assert re.search(r"value +\W spread +\W baseline", result.stdout)
    assert all(text in result.stdout for text in ("task: binary", "5-fold cross-validation", "roc_auc"))
    assert re.search(r"^compiled: yes, [0-9.]+ us for one row", result.stderr, re.MULTILINE)
    variable = f"ARTIFACTS='{tmp_path}/my model'"
    assert f"{variable} make serve" in result.stdout
    assert f"{variable} python -m service serve" in result.stdout
    zip_code = load("my model").manifest.signature.columns[-1]
    assert zip_code.categories == tuple(f"{number:05}" for number in range(9))


@pytest.mark.long
def test_the_number_of_cores_leaves_no_trace_in_the_model(cli: Cli) -> None:
    result = cli("train", "table.csv", "--target", "Age", "-o", "model", "--model", "forest", "--n-jobs", "-1")

    assert result.exit_code == 0, result.stderr
    assert re.search(r"value +\W spread +\W baseline", result.stdout)
    assert load("model").pipeline[-1].n_jobs is None


def test_a_numeric_target_is_a_regression(cli: Cli) -> None:
    assert cli("train", "table.csv", "--target", "Age", "-o", "model", "--task", "regression").exit_code == 0
    assert load("model").manifest.task.kind == "regression"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"--target": "nothing"}, "table.csv has no column 'nothing'; its columns are id, Age"),
        ({"--drop": "nothing"}, "has no column 'nothing'"),
        ({"--model": "magic"}, "'magic' is not one of"),
        ({"--threshold": "half"}, "'half' is not a valid float"),
        ({"--threshold": "nan"}, "threshold nan is not a probability"),
        ({"--positive": "maybe"}, "positive_class 'maybe' is not a class of the model; the classes are"),
        ({"--bounds": "Age"}, "'Age' is not COLUMN=LOW:HIGH"),
        ({"--bounds": "Age=0"}, "'Age=0' is not COLUMN=LOW:HIGH"),
        ({"--bounds": "Age=a:b"}, "'Age=a:b' is not COLUMN=LOW:HIGH"),
        ({"--bounds": "Age=nan:120"}, "give (low, high), each a number or None"),
        ({"--bounds": "Age=40:120"}, "training rows outside its bounds; widen them"),
        ({"--bounds": "nothing=0:1"}, "'nothing' is declared but is not a column"),
        ({"--task": "regression"}, "'survived' holds no numbers"),
        ({"--text": "Age"}, "'Age' holds no strings"),
        ({"-o": "table.csv"}, "table.csv is a file; name a folder"),
        ({"--sep": ";;"}, "';;' is not a single character such as ; or the word tab"),
        ({"--sep": ";"}, "table.csv has no column 'survived'; its columns are id,Age"),
        ({"--encoding": "utf-99"}, "cannot be read as CSV: unknown encoding: utf-99"),
        ({"--string": "nothing"}, "has no column 'nothing'"),
        ({"--n-jobs": "0"}, "0 cores cannot train; give 1 or more, or -1 for all"),
        ({"-o": "table.csv/model"}, "cannot be written"),
        ({"-o": "."}, "holds other files (table.csv)"),
    ],
)
def test_a_bad_option_gives_one_line(cli: Cli, options: dict[str, str], says: str) -> None:
    given = {"--target": "survived", "-o": "model", "--drop": "id", **options}

    result = cli("train", "table.csv", *[part for option in given.items() for part in option])

    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)
    assert says in result.stderr
    assert (
        len(
            result.stderr.removeprefix(
                "Note: id differs in every row, as an identifier does; --drop id?\n"
            ).splitlines()
        )
        == 1
    )
    assert not Path("model").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"a": [1.0, 2.0, 3.0], "y": ["u", "v", "u"]}, "Metrics, in-sample (class v has 1 row)"),
        (
            {"a": range(12), "y": ["u"] * 10 + ["v"] * 2},
            "Metrics, 2-fold cross-validation (of 5; class v has 2 rows)",
        ),
        ({"a": range(12), "y": ["u"] * 12}, "the data contains only one class: 'u'"),
        ({"a": [2**64 - 1] * 12, "y": ["u", "v"] * 6}, "'a' holds an integer beyond 64 bits"),
        (
            {"a": [np.inf, 1.0] * 6, "y": ["u", "v"] * 6},
            "table cannot be fitted (ValueError: Input X contains infinity",
        ),
        ({"a": [f"a b c {i}" for i in range(9)] * 5, "y": range(45)}, "table, version"),
        ({"a": [f"x y z {'q' * i}" for i in range(30)], "y": range(30)}, "table, version"),
        ({"a": [None] * 30, "b": range(30), "y": range(30)}, "table, version"),
    ],
)
def test_odd_tables_are_trained_on_or_refused_in_one_line(cli: Cli, table: dict[str, Any], says: str) -> None:
    pd.DataFrame(table).to_csv("table.csv", index=False)

    result = cli("train", "table.csv", "--target", "y", "-o", "model")

    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert says in " ".join((result.stderr + result.stdout).split())


def test_a_missing_command_or_option_gives_one_line(cli: Cli) -> None:
    for arguments in (["train", "table.csv"], ["fly"], ["recipe", "nothing", "-o", "model"], ["show"]):
        result = cli(*arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1


def test_a_folder_without_an_artifact_is_refused_in_one_line(cli: Cli) -> None:
    for command in ("show", "verify"):
        result = cli(command, ".")
        assert (result.exit_code, result.exception.__class__) == (1, SystemExit)
        assert result.stderr.startswith("Error: . holds no manifest.json")


@pytest.mark.long
def test_the_shipped_model_is_shown_and_verified_from_a_shell() -> None:
    command = [sys.executable, "-m", "serialize"]

    shown = subprocess.run(
        [*command, "show", SHIPPED], capture_output=True, text=True, check=True, cwd=Path(SHIPPED).parent
    )
    refused = subprocess.run(
        [*command, "verify", "nowhere"], capture_output=True, text=True, check=False, cwd=Path(SHIPPED).parent
    )

    digest = json.loads((Path(SHIPPED) / "manifest.json").read_text())["files"]["pipeline.joblib"]
    assert f"pipeline.joblib: sha256 {digest}" in shown.stdout
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: nowhere holds no manifest.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["iris", "--data", "table.csv"], "iris has data of its own; --data is for sections and pairs"),
        (["sections", "--text", "id"], "--text is a column of a file; give the file with --data."),
        (
            ["pairs", "--data", "table.csv", "--section", "id"],
            "pairs has no --section; its columns are --author, --text.",
        ),
        (["sections", "--data", "table.csv", "--text", "id", "--title", "id"], "must name different columns"),
        (["sections", "--data", "table.csv", "--title", "headline"], "table.csv has no column 'headline'"),
        (["sections", "--data", "table.csv"], "The rows have no column 'text'; their columns are id, Age"),
        (["pairs", "--data", "missing.parquet"], "missing.parquet cannot be read"),
    ],
)
def test_columns_of_a_file_that_a_recipe_cannot_learn_from_are_refused(
    cli: Cli, arguments: list[str], message: str
) -> None:
    refused = cli("recipe", *arguments, "-o", "model")

    assert refused.exit_code in (1, 2)
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not Path("model").exists()
