"""push and pull: what arrives is what was pushed, whole or not at all; a refusal is one line without any secret."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from serialize.__main__ import main
from tests.support.moto import S3, SECRET
from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.replies import replies
from tests.support.waiting import until

pytestmark = pytest.mark.long  # each transfer starts a process

DIGEST = hashlib.sha256((ARTIFACTS / "manifest.json").read_bytes()).hexdigest()
KEY = "a signing key of enough characters"


def run(*arguments: object, **variables: str | None) -> Result:
    unset = dict.fromkeys(("MODEL_DIGEST", "MODEL_SIGNING_KEY", "REQUIRE_SIGNED", "MODEL_MAX_BYTES"))
    return CliRunner(env={**unset, **variables}).invoke(main, [str(argument) for argument in arguments])


def refusal(*arguments: object, **variables: str | None) -> str:
    ended = run(*arguments, **variables)
    assert ended.exit_code == 1
    assert isinstance(ended.exception, SystemExit)
    assert ended.output.startswith("Error: ")
    assert ended.output.count("\n") == 1
    assert SECRET not in ended.output
    return ended.output


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_pushed_model_is_pulled_as_it_was(s3: S3, tmp_path: Path) -> None:
    pushed = run("push", ARTIFACTS, s3.url)
    pulled = run("pull", s3.url, tmp_path / "new" / "pulled", MODEL_DIGEST=DIGEST)

    assert pushed.output.splitlines()[0] == f"Pushed {ARTIFACTS} to {s3.url}: titanic, version {DIGEST[:12]}."
    assert pushed.output.splitlines()[1] == f"Next: ARTIFACTS={s3.url} MODEL_DIGEST={DIGEST}"
    assert pulled.exit_code == 0, pulled.output
    assert content(tmp_path / "new" / "pulled") == content(ARTIFACTS)


def test_a_signed_model_is_pulled_with_its_signature(s3: S3, tmp_path: Path) -> None:
    artifact = Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact"))
    run("sign", artifact, MODEL_SIGNING_KEY=KEY)
    run("push", artifact, s3.url)

    pulled = run("pull", s3.url, tmp_path / "pulled", MODEL_SIGNING_KEY=KEY, REQUIRE_SIGNED="1")

    assert pulled.exit_code == 0, pulled.output
    assert content(tmp_path / "pulled") == content(artifact)


def test_a_pull_replaces_an_artifact_and_leaves_it_if_it_fails(s3: S3, tmp_path: Path) -> None:
    old = Path(shutil.copytree(ARTIFACTS, tmp_path / "pulled"))
    (old / "pipeline.onnx").write_bytes(b"damaged")
    before = content(old)
    run("push", ARTIFACTS, s3.url)

    s3.write("pipeline.onnx", b"truncated")
    assert "is not the file that its manifest lists" in refusal("pull", s3.url, old, "--digest", DIGEST)
    assert content(old) == before

    run("push", ARTIFACTS, s3.url)
    assert run("pull", s3.url, old, "--digest", DIGEST).exit_code == 0
    assert content(old) == content(ARTIFACTS)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_pull_needs_a_condition(s3: S3, tmp_path: Path) -> None:
    run("push", ARTIFACTS, s3.url)

    assert "set MODEL_DIGEST" in refusal("pull", s3.url, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def test_a_pull_does_not_touch_other_files(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    assert "holds other files" in refusal("pull", s3.url, tmp_path, MODEL_DIGEST=DIGEST)


def test_a_pull_stops_at_the_limit(s3: S3, tmp_path: Path) -> None:
    run("push", ARTIFACTS, s3.url)

    told = refusal("pull", s3.url, tmp_path / "pulled", MODEL_DIGEST=DIGEST, MODEL_MAX_BYTES="1000")

    assert f"{s3.url} holds more bytes than MODEL_MAX_BYTES allows" in told


def test_a_damaged_artifact_is_not_pushed(s3: S3, tmp_path: Path) -> None:
    artifact = Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact"))
    (artifact / "pipeline.joblib").write_bytes(b"damaged")

    assert "is not the file that its manifest lists" in refusal("push", artifact, s3.url)
    assert f"{s3.url} holds no manifest.json" in refusal("pull", s3.url, tmp_path / "pulled", MODEL_DIGEST=DIGEST)


def test_wrong_credentials_are_refused_and_not_shown(s3: S3, tmp_path: Path) -> None:
    run("push", ARTIFACTS, s3.url)

    with s3.strict():
        written = refusal("push", ARTIFACTS, s3.url)
        read = refusal("pull", s3.url, tmp_path / "pulled", MODEL_DIGEST=DIGEST)

    assert f"{s3.url} cannot be written: the server refuses access; check the credentials in the AWS_" in written
    assert f"{s3.url} cannot be read: the server refuses access; check the credentials in the AWS_" in read


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_url_with_a_secret_is_refused_without_it(command: str, tmp_path: Path) -> None:
    url = f"https://user:{SECRET}@host/folder"
    arguments = (ARTIFACTS, url) if command == "push" else (url, tmp_path / "pulled")

    assert "The URL https://host/folder may hold only" in refusal(command, *arguments, MODEL_DIGEST=DIGEST)


def test_ctrl_c_ends_a_pull_at_once(s3: S3, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "serialize", "pull", "s3://bucket/folder", str(tmp_path / "pulled"))
    with replies(lambda connection: connection.sendall(connection.recv(1))) as server:
        variables = {**os.environ, "AWS_ENDPOINT_URL": server.address, "MODEL_DIGEST": DIGEST}
        with subprocess.Popen(command, cwd=PROJECT, env=variables, stderr=subprocess.PIPE) as process:
            until(lambda: bool(server.requests))
            transfer = psutil.Process(process.pid).children()
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=9)  # less than the server is waited for

    assert told.strip() == b"Aborted!"
    assert psutil.wait_procs(transfer, timeout=1)[1] == []
