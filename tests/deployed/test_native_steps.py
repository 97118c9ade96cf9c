"""Steps that the compiled form calls, and pipelines, answer in forked workers as they did before the fork."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from serialize import Artifact, dump
from serialize.frame import observations
from tests.support.kinds.table import KINDS
from tests.support.passengers import PROJECT
from tests.support.served import environment, serve

SENDERS = 20
ROWS = 200

# Scores in a process and then in a fork of it. With more than one thread of OpenMP, the fork would hang.
FORK = """
import os, sys, time
from service.settings import set_native_defaults
set_native_defaults()
from serialize import load
artifact = load(sys.argv[1])
form = artifact.compiled if sys.argv[2] == "compiled" else artifact.model
rows = 20 * list(artifact.manifest.golden.observations)
outputs = form.outputs(rows)
child = os.fork()
if not child:
    os._exit(0 if (form.outputs(rows) == outputs).all() else 1)
ended = (0, 0)
deadline = time.monotonic() + 30
while not ended[0] and time.monotonic() < deadline:
    time.sleep(0.01)
    ended = os.waitpid(child, os.WNOHANG)
if not ended[0]:
    os.kill(child, 9)
    os.waitpid(child, 0)
    sys.exit("the fork hangs")
sys.exit(os.waitstatus_to_exitcode(ended[1]))
"""

pytestmark = pytest.mark.long  # starts servers and processes


@pytest.fixture(
    scope="module",
    params=[
        ("nearest neighbours, brute force", "compiled"),
        ("imputer of neighbours", "compiled"),
        ("quadratic discriminant analysis", "compiled"),
        ("histogram boosting", "pipeline"),
    ],
    ids=lambda param: param[0],
)
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, str]:
    """A model that calls a step of its pipeline, and what answers: the compiled form or the pipeline."""
    name, scorer = request.param
    pipeline, (X, y) = KINDS[name]()
    folder = tmp_path_factory.mktemp("native") / "model"
    artifact = dump(pipeline.fit(X, y), X, y, folder, metrics="none", importances=False)
    assert artifact.compiled is not None
    assert bool(artifact.compiled.native) == (scorer == "compiled")
    return artifact, scorer


def test_a_fork_answers_as_its_parent(native: tuple[Artifact, str]) -> None:
    artifact, scorer = native
    command = [sys.executable, "-c", FORK, str(artifact.path), scorer]

    ended = subprocess.run(
        command, env=environment(OMP_NUM_THREADS="4"), cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr


def test_all_workers_answer_as_the_notebook(native: tuple[Artifact, str], tmp_path: Path) -> None:
    artifact, scorer = native
    _, (X, _) = KINDS["nearest neighbours, brute force"]()  # all kinds here have this table
    rows = observations(X.head(ROWS))
    wanted = artifact.model.outputs(rows)[:, 1].tolist()
    variables = {"OMP_NUM_THREADS": "4", "WEB_CONCURRENCY": "2", "SCORER": scorer}

    with (
        serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=str(artifact.path), variables=variables) as served,
        ThreadPoolExecutor(SENDERS) as pool,
    ):

        def proba(id_: int) -> float:
            body = {"id": id_, "observation": {name: rows[id_][name] for name in artifact.manifest.signature.names}}
            answer = requests.post(served.url + "/predict", json=body, timeout=30)  # a connection of its own
            assert answer.status_code == 200, answer.text
            return float(answer.json()["proba"])

        assert list(pool.map(proba, range(ROWS))) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
