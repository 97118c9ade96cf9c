"""What the README shows is what happens: its curls against the served app, its Python as it stands."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.passengers import PROJECT
from tests.served import environment, serve

README = (PROJECT / "README.md").read_text()

OWN_MODEL = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
pipeline = LogisticRegression()
X_train = pd.DataFrame({"age": np.arange(40.0), "calls": [3, 1] * 20})
y_train = np.arange(40) > 15
"""


def shown_curls() -> list[tuple[str, Any]]:
    """Every curl of the README with the JSON that it shows as the answer."""
    shown = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = example.rstrip().rpartition("\n")
            shown.append((command, json.loads(answer)))
    return shown


def assert_shown(answer: Any, shown: Any) -> None:
    """The answer has what is shown, numbers to nine digits; a long one may have more keys than are shown."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            assert_shown(answer[key], value)
    elif isinstance(shown, list):
        assert len(answer) == len(shown)
        for one, other in zip(answer, shown, strict=True):
            assert_shown(one, other)
    elif isinstance(shown, float):
        assert answer == pytest.approx(shown, abs=1e-9)
    else:
        assert answer == shown
        assert type(answer) is type(shown)


def test_every_curl_answers_what_is_shown(tmp_path: Path) -> None:
    curls = shown_curls()
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        for command, shown in curls:
            here = command.replace("http://localhost:5000", served.url).replace("curl ", "curl -s ", 1)
            ran = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=True)
            assert_shown(json.loads(ran.stdout), shown)

    assert len(curls) >= 6


def test_the_python_dumps_a_model_that_is_served(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run(
        [sys.executable, "-c", OWN_MODEL + code], cwd=tmp_path, env=environment(PYTHONPATH=str(PROJECT)), check=True
    )

    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=tmp_path / "artifacts") as served:
        card = requests.get(served.url + "/model", timeout=5).json()
        answer = served.post("/predict", {"id": 1, "observation": {"age": 30, "calls": 3}}).json()

    assert (card["name"], card["threshold"]) == ("churn", 0.4)
    assert answer["predicted_class"] is True


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150
