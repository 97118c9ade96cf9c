"""The README is correct: its curl commands get the responses it shows, and its Python code runs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.passengers import PROJECT
from tests.support.served import environment, serve

README = (PROJECT / "README.md").read_text()

OWN_MODEL = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
pipeline = LogisticRegression()
X_train = pd.DataFrame({"age": np.arange(40.0), "calls": [3, 1] * 20})
y_train = np.arange(40) > 15
"""


def shown_curls() -> list[tuple[str, Any]]:
    """Every curl command of the README with its JSON response, which begins at the start of a line."""
    shown = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, answer = re.split(r"\n(?=[{\[])", example, maxsplit=1)
            shown.append((command, json.loads(answer)))
    return shown


def assert_shown(answer: Any, shown: Any) -> None:
    """The response equals the one shown, floats to 1e-9. Only the request id in `instance` may differ."""
    if isinstance(shown, dict):
        assert list(answer) == list(shown)
        for key, value in shown.items():
            assert_shown(answer[key], value)
    elif isinstance(shown, list):
        assert len(answer) == len(shown)
        for one, other in zip(answer, shown, strict=True):
            assert_shown(one, other)
    elif isinstance(shown, str) and shown.startswith("urn:request:"):
        assert re.fullmatch(r"urn:request:[0-9a-f]{32}", answer)
    elif isinstance(shown, float):
        assert answer == pytest.approx(shown, abs=1e-9)
    else:
        assert answer == shown
        assert type(answer) is type(shown)


def test_every_curl_gets_the_response_shown(tmp_path: Path) -> None:
    curls = shown_curls()
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        for command, shown in curls:
            here = command.replace("http://localhost:5000", served.url).replace("curl ", "curl -s ", 1)
            ran = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=True)
            assert_shown(json.loads(ran.stdout), shown)

    assert len(curls) == 4


@pytest.mark.long
def test_the_python_code_dumps_a_model_that_can_be_served(tmp_path: Path) -> None:
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
    assert len(README.splitlines()) < 120
