"""What `train` and `show` print stays short and readable, whatever the names of the model."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from serialize.__main__ import main
from serialize.cli.summary import baseline, compiled, describe, listed, shortened
from serialize.manifest import Manifest
from serialize.task import Task
from tests.support.manifests import rewrite
from tests.support.passengers import ARTIFACTS

WORDS = [f"[red]word {number}[/] 長い名前" for number in range(20)]
CLASSES = [f"[/b]\n{number} " + "x" * 200 for number in range(300)]


def show(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["show", str(folder), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def lines_of(printed: str, width: int) -> int:
    """The number of lines on a terminal of this width, which wraps longer ones."""
    return sum(max(1, -(-cell_len(line) // width)) for line in printed.splitlines())


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """An artifact whose manifest has 500 columns and 300 classes with long names."""
    folder = tmp_path / "wide"
    shutil.copytree(ARTIFACTS, folder)
    names = [f"[bold]c{number:03}[/bold]\n[/]\\ " + "名" * (number % 50) for number in range(500)]

    def widen(manifest: dict[str, Any]) -> None:
        column = {"kind": "category", "nullable": True, "dtype": "str", "null": "nan", "categories": WORDS}
        manifest["signature"]["columns"] = [{**column, "name": name} for name in names]
        shares = {name: {"mean": number / 1000, "std": 0.0} for number, name in enumerate(names)}
        manifest["importances"]["columns"] = shares
        manifest |= {"task": "multiclass", "classes": CLASSES, "not_compiled": "a long reason " * 100}

    rewrite(folder, widen)
    return folder


@pytest.mark.parametrize("width", [60, 80, 200])
def test_five_hundred_columns_take_at_most_sixty_lines(wide: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    printed = show(wide)

    assert lines_of(printed, 80) <= 60 or width > 80
    assert len(printed.splitlines()) <= 60
    assert "[bold]c499" in printed
    assert "[bold]c487" not in printed
    assert printed.index("[bold]c499") < printed.index("[bold]c498")
    assert r"[/b]\n0 xxx" in printed


def test_a_pipe_without_columns_gets_at_most_sixty_lines(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    assert lines_of(show(wide), 80) <= 60


def test_all_columns_are_printed_in_full_if_they_are_asked_for(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    rows = [line for line in show(wide, "--columns").splitlines() if "[bold]c" in line]

    assert len(rows) == 500
    assert all(f"[bold]c{number:03}[/bold]" in row for number, row in enumerate(rows))
    assert all('"[red]word 19[/] 長い名前" or null' in row for row in rows)


def test_a_column_may_have_no_importance(wide: Path) -> None:
    rewrite(wide, lambda manifest: manifest["importances"].update(columns={}))

    rows = [line for line in show(wide).splitlines() if "[bold]c" in line]

    assert len(rows) == 12
    assert all(row.split("│")[-2].strip() == "-" for row in rows)


def test_the_manifest_is_printed_byte_for_byte(wide: Path) -> None:
    result = CliRunner().invoke(main, ["show", str(wide), "--json"])

    content = (wide / "manifest.json").read_bytes()
    assert hashlib.sha256(result.stdout_bytes).digest() == hashlib.sha256(content).digest()


def test_a_damaged_manifest_is_not_printed(wide: Path) -> None:
    (wide / "manifest.json").write_text("{}")

    result = CliRunner().invoke(main, ["show", str(wide), "--json"])

    assert (result.exit_code, result.stdout) == (1, "")


def test_the_classes_are_counted_and_the_most_frequent_one_is_the_baseline() -> None:
    task, y = Task("binary", (False, True), True, 0.4), pd.Series([True, False, False, False])

    assert list(describe(task, y)) == [
        "task: binary",
        "classes: False (3), True (1)",
        "positive class: True, threshold: 0.4",
    ]
    assert baseline(task, y) == "baseline: accuracy 0.7500, if the most frequent class False is always predicted"


def test_the_baseline_of_numbers_is_the_error_of_their_mean() -> None:
    text = baseline(Task("regression"), pd.Series([1.0, 1.0, 4.0, 6.0]))

    assert "mean_absolute_error 2.0000, root_mean_squared_error 2.1213, if the mean 3 is" in text


def test_long_lists_and_texts_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(str(number) * 50 for number in range(9)) == f"{'0' * 50}, {'1' * 50} and 7 more"
    assert shortened("名" * 10, 7) == "名名名…"
    assert shortened("\x1b[1m\t\ud800", 20) == r"\x1b[1m\t\ud800"


def test_a_list_takes_two_lines_at_most() -> None:
    assert listed(["ab"] * 37) == ", ".join(["ab"] * 37)
    assert listed(["ab"] * 40) == ", ".join(["ab"] * 37) + " and 3 more"


def _manifest(**members: Any) -> Manifest:
    return replace(Manifest.from_bytes((ARTIFACTS / "manifest.json").read_bytes()), **members)


@pytest.mark.parametrize(
    ("scoring", "line"),
    [
        (
            {"native": [], "row_us": {"compiled": 20.0, "pipeline": 3000.0}, "arrays": "compiled"},
            "compiled: yes, 20 us for one row (pipeline 3000)",
        ),
        (
            {"native": ["SVC"], "row_us": {"compiled": 20.0, "pipeline": 3000.0}, "arrays": "pipeline"},
            "compiled: yes, 20 us for one row (pipeline 3000), large arrays by the pipeline, calls SVC",
        ),
        ({"native": ["SVC"]}, "compiled: yes, calls SVC"),
        (
            {"native": [], "row_us": {"pipeline": 3000.0}, "arrays": "pipeline"},
            "compiled: yes, large arrays by the pipeline",
        ),
        ({}, "compiled: yes"),
    ],
    ids=["measured", "with steps", "of an older parent", "of a parent without a compiled form", "older"],
)
def test_one_line_says_how_the_model_answers(scoring: dict[str, Any], line: str) -> None:
    assert compiled(_manifest(scoring=scoring)) == line


def test_the_compiled_form_of_an_older_version_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "older"
    shutil.copytree(ARTIFACTS, folder)
    content = (folder / "pipeline.npz").rename(folder / "pipeline.onnx").read_bytes()

    def of_older_version(manifest: dict[str, Any]) -> None:
        del manifest["scoring"], manifest["files"]["pipeline.npz"]
        manifest["files"]["pipeline.onnx"] = hashlib.sha256(content).hexdigest()

    rewrite(folder, of_older_version)

    assert "compiled: no. The compiled form is of an older version; dump the model again." in show(folder)
