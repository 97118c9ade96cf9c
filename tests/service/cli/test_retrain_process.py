"""The process of a retraining reports in lines of JSON, whatever the model prints."""

import json
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from peewee import Database

from service.cli import retrain_process
from service.learning.reporter import Reporter
from service.learning.retraining.options import RetrainOptions
from service.settings import Settings
from tests.support.passengers import PROJECT

PRINTING = """
import json, os
from service.cli import retrain_process

def work(*_):
    print("from Python")
    os.write(1, b"from a library in C\\n")
    return {"outcome": "better"}

retrain_process._work = work
retrain_process._main(json.dumps({"arguments": {}, "file": None}), str(os.getppid()))
"""


def test_what_a_model_prints_is_no_part_of_the_report() -> None:
    ran = subprocess.run([sys.executable, "-c", PRINTING], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert [json.loads(line) for line in ran.stdout.splitlines()] == [{"result": {"outcome": "better"}}]
    assert {"from Python", "from a library in C"} <= set(ran.stderr.splitlines())


@pytest.mark.parametrize("file", [None, ["own.csv", "Survived", ",", "utf-8"]])
def test_the_work_gets_the_rows_of_a_file_and_reports_its_progress(
    file: list[str] | None, database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    given: list[RetrainOptions] = []

    def retrain(settings: Settings, options: RetrainOptions, reporter: Reporter) -> dict[str, Any]:
        given.append(options)
        reporter.progress(0.5, "half")
        return {"outcome": "better"}

    monkeypatch.setattr(retrain_process, "retrain", retrain)
    output = StringIO()

    assert retrain_process._work(output, {"window": "50"}, file) == {"outcome": "better"}
    assert (given[0].own is None) is (file is None)
    assert json.loads(output.getvalue()) == {"share": 0.5, "sentence": "half"}
