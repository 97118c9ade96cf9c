"""What the benchmark of arrays sends, counts and shows, and what it refuses to count."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.arrays import contenders, table
from benchmarks.arrays.large import of_moments
from benchmarks.arrays.rounds import ArrayLoad, Shape, measure, require_stored, to_json
from benchmarks.loads import wrk
from benchmarks.passengers import ID, PASSENGER, PROBA, WrongAnswer
from benchmarks.servers import Server
from tests.support.answering import answering
from tests.support.waiting import until

EXPECTED = wrk.Expected("proba", PROBA, 2)
RIGHT = [{"observation_id": 0, "proba": 0.0958079757989421}, {"observation_id": 1, "proba": 0.5}]

# wrk is a program that pip cannot install. Whether its script checks answers shows only with it.
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def always(answer: Any, **dumps: Any) -> AbstractContextManager[str]:
    """The URL of a server that gives every request the same answer."""
    body = json.dumps(answer, **dumps).encode()
    return answering(lambda *_: body)


def loaded(url: str, folder: Path) -> wrk.Load:
    """A second of arrays of two."""
    contenders.on_sqlite().write_arrays(folder / "arrays.txt", items=2, arrays=3)
    return wrk.run(url, folder / "arrays.txt", 1, 1.0, lambda: None, expected=EXPECTED)


@needs_wrk
@pytest.mark.long
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_right_answers_to_arrays_are_counted(separators: tuple[str, str], tmp_path: Path) -> None:
    with always(RIGHT, separators=separators) as url:
        assert loaded(url, tmp_path).requests > 0


@needs_wrk
@pytest.mark.long
@pytest.mark.parametrize(
    "answer",
    [RIGHT[:1], [*RIGHT, RIGHT[1]], RIGHT[::-1], [{"observation_id": 0, "proba": None}, RIGHT[1]], {"detail": "none"}],
    ids=["one too few", "one too many", "another order", "no number", "no array"],
)
def test_a_load_with_a_wrong_answer_to_an_array_is_not_counted(answer: Any, tmp_path: Path) -> None:
    with always(answer) as url, pytest.raises(WrongAnswer, match="arrays were answered wrong"):
        loaded(url, tmp_path)


def test_every_array_begins_with_the_passenger_of_the_readme_and_goes_on_with_others(tmp_path: Path) -> None:
    contenders.on_sqlite().write_arrays(tmp_path / "arrays.txt", items=30, arrays=3)

    lines = (tmp_path / "arrays.txt").read_text().splitlines()
    arrays = [[item["observation"] for item in json.loads(line.replace(ID, "7"))] for line in lines]

    assert [len(array) for array in arrays] == [30, 30, 30]
    assert all(array[0] == PASSENGER for array in arrays)
    assert len({json.dumps(array[1:]) for array in arrays}) == 3


def test_fewer_stored_items_than_answered_ones_are_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "log.db")) as database, database:
        database.execute("CREATE TABLE prediction (id INTEGER)")
        database.executemany("INSERT INTO prediction VALUES (?)", [(1,), (2,)])
    url = f"sqlite:///{tmp_path / 'log.db'}"

    require_stored(url, 2)
    require_stored(None, 3)
    with pytest.raises(WrongAnswer, match="3 items were answered and 2 are stored"):
        require_stored(url, 3)


def test_the_processor_time_of_a_server_includes_its_children(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(60)"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent])
    server = Server(contenders.on_sqlite().server, process, "", tmp_path)
    try:
        until(lambda: server.cpu_seconds() >= 0.29)
    finally:
        for child in psutil.Process(process.pid).children():
            child.kill()
        process.wait()


def test_an_answer_that_was_late_counts_for_each_moment_at_which_none_was_sent_meanwhile() -> None:
    found = of_moments([0.001] * 9 + [0.1], every=0.002)

    assert (found.probes, found.worst_ms) == (60, 100.0)
    assert found.p50_ms > 30  # without the moments it were 1


def loads(*per_second: float) -> dict[str, list[ArrayLoad]]:
    return {"1000x4": [ArrayLoad(5_000, each, 9.04, 12.0, 20.0) for each in per_second]}


MEASURED = {
    "service-sqlite": loads(80_000.0, 90_000.0, 30_000.0),
    "fastapi": loads(40_000.0, 60_000.0, 10_000.0),
}
RESULT = {
    "subject": "arrays",
    "date": "2026-01-31T12:00:00+00:00",
    "machine": {"cpu": "A processor", "cores": 2, "memory_gb": 4},
    "versions": {"service": {"python": "3.11.7"}},
    "settings": {"rounds": 3, "seconds": 5.0, "shapes": ["1000x4"]},
    "contenders": to_json(MEASURED),
    "large": {
        "items": 10_000,
        "above_idle_mb": 28.4,
        "livez": {"probes": 9, "p50_ms": 1.0, "p99_ms": 15.04, "worst_ms": 20.0},
    },
}


def test_the_ratio_is_the_median_of_those_of_the_rounds() -> None:
    median = to_json(MEASURED)["fastapi"]["median"]["1000x4"]

    assert (median["per_second"], median["ratio"]) == (40_000.0, 2.0)


def test_the_table_shows_items_a_second_ratios_and_processor_time() -> None:
    lines = table.table(RESULT).splitlines()

    assert lines[0] == "| items/s by items x connections | 1,000 x 4 | us of CPU per item |"
    assert lines[2] == "| **this service, SQLite** | 80,000 | 9.0 |"
    assert lines[3].endswith("| 40,000 (2.00) | 9.0 |")
    assert "28 MB more" in lines[5]
    assert "p99 15.0, maximum 20.0 ms" in lines[5]


def test_the_command_of_arrays_stands_beside_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    run = CliRunner().invoke

    for arguments in ([], ["--postgres"], ["arrays"], ["arrays", "--shapes", "10x1,100x4"]):
        assert "wrk is missing" in run(main, arguments).output
    assert "options of arrays stand after its name" in run(main, ["--rounds", "1", "arrays"]).output
    assert "such as 1000x4" in run(main, ["arrays", "--shapes", "1000"]).output


@needs_wrk
@pytest.mark.long
def test_the_models_of_the_recipes_answer_arrays_right_and_store_them(tmp_path: Path) -> None:
    measured = [
        contenders.with_recipe("iris", contenders.OURS, tmp_path / "iris"),
        contenders.with_recipe("diabetes", "service-regression", tmp_path / "diabetes"),
    ]

    found = measure(measured, [Shape(10, 1)], 1.0, 1, lambda _: None)

    assert all(found[each.server.name]["10x1"][0].items > 0 for each in measured)
    wrong = replace(measured[0], member="no such member")
    with pytest.raises(WrongAnswer):
        measure([wrong], [Shape(10, 1)], 1.0, 1, lambda _: None)
