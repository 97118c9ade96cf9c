"""The process of a retraining reports in lines of JSON, whatever the model prints."""

import json
import subprocess
import sys

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
