"""gunicorn serves a model that it reads from a store with the API of Amazon S3, and the commands read it from there."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from serialize.content import push_content, read_content
from tests.support.moto import S3, SECRET
from tests.support.passengers import ARTIFACTS, PROBA, PROJECT, prediction
from tests.support.replies import replies, send
from tests.support.served import environment, free_port, serve
from tests.support.waiting import until

pytestmark = pytest.mark.long

DIGEST = hashlib.sha256((ARTIFACTS / "manifest.json").read_bytes()).hexdigest()


@pytest.fixture
def variables(s3: S3, tmp_path: Path) -> dict[str, str]:
    """What a service needs in its environment to read the shipped model from a bucket."""
    push_content(read_content(ARTIFACTS), s3.url)
    return {**s3.variables, "MODEL_DIGEST": DIGEST, "TMPDIR": str(tmp_path / "temporary")}


def refusal(url: str, variables: Mapping[str, str], command: tuple[str, ...] = ("gunicorn", "app:app")) -> str:
    log = f"sqlite:///{variables['TMPDIR']}.db"
    given = environment(**{"PORT": str(free_port()), "ARTIFACTS": url, "DATABASE_URL": log, **variables})
    ended = subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, timeout=100, check=False)
    told = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert SECRET not in told
    assert "Traceback" not in told
    return told


def test_a_model_in_a_bucket_is_served_by_all_workers_and_by_their_successors(
    s3: S3, variables: dict[str, str], tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path}/predictions.db"
    with serve(tmp_path, database, artifacts=s3.url, variables=variables) as served:
        assert served.post("/predict", prediction(1)).json()["proba"] == pytest.approx(PROBA, abs=1e-4)
        assert served.session.get(served.url + "/model").json()["version"] == DIGEST[:12]
        assert not [process for process in served.processes() if "transfer.py" in " ".join(process.cmdline())]

        killed = served.workers()
        for worker in killed:
            worker.kill()
        psutil.wait_procs(killed, timeout=30)
        until(lambda: len(served.workers()) == len(killed))
        served.session.close()

        assert served.post("/predict", prediction(2)).json()["proba"] == pytest.approx(PROBA, abs=1e-4)
    assert SECRET not in served.log.read_text()


def test_a_report_is_made_with_the_model_in_a_bucket(s3: S3, variables: dict[str, str], tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/predictions.db"
    with serve(tmp_path, database, artifacts=s3.url, variables=variables) as served:
        served.post("/predict", prediction(1))
    given = environment(DATABASE_URL=database, ARTIFACTS=s3.url, **variables)

    command = ("python", "-m", "service", "report", "-o", str(tmp_path / "report.html"))
    ended = subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, timeout=100, check=False)

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "report.html").is_file()


def test_a_start_without_a_condition_is_refused(s3: S3, variables: dict[str, str]) -> None:
    told = refusal(s3.url, {**variables, "MODEL_DIGEST": ""})

    assert f"The service cannot start. {s3.url} is not read without a condition; set MODEL_DIGEST" in told


def test_a_start_with_another_model_in_the_bucket_is_refused(s3: S3, variables: dict[str, str]) -> None:
    assert f"The manifest of {s3.url} has the sha256 {DIGEST}" in refusal(
        s3.url, {**variables, "MODEL_DIGEST": "0" * 64}
    )


def test_a_start_with_a_smaller_limit_is_refused(s3: S3, variables: dict[str, str]) -> None:
    assert "more bytes than MODEL_MAX_BYTES allows" in refusal(s3.url, {**variables, "MODEL_MAX_BYTES": "100"})


def test_a_start_with_refused_credentials_says_so_without_them(variables: dict[str, str]) -> None:
    with replies(send("403 Forbidden", SECRET.encode())) as server:
        told = refusal("s3://bucket/folder", {**variables, "AWS_ENDPOINT_URL": server.address})

    assert "s3://bucket/folder cannot be read: the server refuses access" in told


def test_a_secret_in_the_url_is_not_shown(variables: dict[str, str]) -> None:
    for command in (("gunicorn", "app:app"), ("python", "app.py")):
        told = refusal(f"https://user:{SECRET}@127.0.0.1:1/folder", variables, command)

        assert "The URL https://127.0.0.1:1/folder may hold only" in told


def test_workers_and_the_next_start_serve_a_promoted_model_that_is_too_large_for_the_database(
    s3: S3, variables: dict[str, str], tmp_path: Path, artifacts: dict[str, Path]
) -> None:
    size = sum(map(len, read_content(ARTIFACTS).files.values()))
    given = {**variables, "MODEL_DIGEST": "", "MODEL_MAX_BYTES": str(size - 1)}
    database = f"sqlite:///{tmp_path}/predictions.db"

    def run(*arguments: str) -> None:
        command = ("python", "-m", "service", *arguments)
        environ = environment(DATABASE_URL=database, **{**given, "TMPDIR": str(tmp_path)})  # another cache
        subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, timeout=100, check=True)

    with serve(tmp_path, database, artifacts=artifacts["diabetes"], variables=given) as served:
        run("register", s3.url, "--digest", DIGEST)
        run("promote", DIGEST[:12])
        until(lambda: served.log.read_text().count(f"event=swap version={DIGEST[:12]}") == 2)
        assert served.post("/predict", prediction(1)).json()["proba"] == pytest.approx(PROBA, abs=1e-4)
    with serve(tmp_path, database, artifacts="no-such-folder", variables=given) as served:
        assert served.post("/predict", prediction(2)).json()["proba"] == pytest.approx(PROBA, abs=1e-4)
    assert "champion-unusable" not in served.log.read_text()
