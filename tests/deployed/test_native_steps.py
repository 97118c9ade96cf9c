"""Steps that the compiled form calls, and pipelines, answer in forked workers as they did before the fork. With more
than one thread of OpenMP, some of them would hang there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from serialize import dump
from serialize.frame import observations
from tests.support.kinds.table import KINDS
from tests.support.served import serve

SENDERS = 20
ROWS = 200


@pytest.mark.long  # starts servers
@pytest.mark.parametrize(
    ("name", "scorer"),
    [
        ("nearest neighbours, brute force", "compiled"),
        ("imputer of neighbours", "compiled"),
        ("quadratic discriminant analysis", "compiled"),
        ("histogram boosting", "pipeline"),
    ],
)
def test_native_steps_answer_in_all_workers(name: str, scorer: str, tmp_path: Path) -> None:
    pipeline, (X, y) = KINDS[name]()
    artifact = dump(pipeline.fit(X, y), X, y, tmp_path / "model", metrics="none", importances=False)
    assert artifact.compiled is not None
    assert bool(artifact.compiled.native) == (scorer == "compiled")
    rows = observations(X.head(ROWS))
    wanted = artifact.model.outputs(rows)[:, 1].tolist()
    variables = {"OMP_NUM_THREADS": "4", "WEB_CONCURRENCY": "2", "SCORER": scorer}

    with (
        serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=tmp_path / "model", variables=variables) as served,
        ThreadPoolExecutor(SENDERS) as pool,
    ):

        def proba(id_: int) -> float:
            body = {"id": id_, "observation": rows[id_]}
            answer = requests.post(served.url + "/predict", json=body, timeout=30)  # a connection of its own
            assert answer.status_code == 200, answer.text
            return float(answer.json()["proba"])

        assert list(pool.map(proba, range(ROWS))) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
