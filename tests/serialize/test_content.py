"""An artifact behind a URL is read only under a condition, and is checked like that of a folder, before any of its code
runs. No message needs more than one sentence."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from serialize import ArtifactError, load
from serialize.content import push_content, read_content, sign
from serialize.trust import Trust
from tests.support.manifests import Malice, rewrite, sealed
from tests.support.moto import S3
from tests.support.passengers import ARTIFACTS
from tests.support.replies import replies, send

pytestmark = pytest.mark.long  # each file is read by a new process

KEY, OTHER_KEY = "a signing key of enough characters", "another key of enough characters."
MANIFEST, SIGNATURE, PIPELINE = "manifest.json", "manifest.json.hmac", "pipeline.joblib"
FILES = sorted(json.loads((ARTIFACTS / MANIFEST).read_bytes())["files"])
DIGEST = hashlib.sha256((ARTIFACTS / MANIFEST).read_bytes()).hexdigest()


@pytest.fixture
def pushed(s3: S3) -> S3:
    """A bucket with the shipped model."""
    push_content(read_content(ARTIFACTS), s3.url)
    return s3


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A copy of the shipped model, which tests may change."""
    return Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact"))


def refusal(url: str, trust: Trust | None = None) -> str:
    with pytest.raises(ArtifactError) as refused:
        load(url, Trust(DIGEST) if trust is None else trust)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_pushed_model_is_loaded_and_gives_its_recorded_outputs(pushed: S3) -> None:
    artifact = load(pushed.url + "/", Trust(DIGEST))

    assert artifact.digest == DIGEST
    artifact.verify_all()


def test_without_a_condition_nothing_is_asked_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with replies(send("404 Not Found")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        for trust in (Trust(), Trust(keys=(KEY,))):
            told = refusal("s3://bucket/folder", trust)
            assert "set MODEL_DIGEST" in told
            assert "REQUIRE_SIGNED=1 and MODEL_SIGNING_KEY" in told

    assert not server.requests


def test_the_signature_is_a_condition_and_is_pushed_too(s3: S3, artifact: Path) -> None:
    sign(artifact, KEY)
    push_content(read_content(artifact), s3.url)

    assert load(s3.url, Trust(keys=(KEY,), must_be_signed=True)).digest == DIGEST
    assert "is not the signature" in refusal(s3.url, Trust(keys=(OTHER_KEY,), must_be_signed=True))


def test_an_unsigned_model_is_refused_if_it_must_be_signed(pushed: S3) -> None:
    told = refusal(pushed.url, Trust(keys=(KEY,), must_be_signed=True))

    assert f"{pushed.url} is not signed" in told


def test_pushing_an_unsigned_model_removes_the_signature_of_the_last_one(s3: S3, artifact: Path) -> None:
    sign(artifact, KEY)
    push_content(read_content(artifact), s3.url)

    push_content(read_content(ARTIFACTS), s3.url)

    assert read_content(s3.url, Trust(DIGEST)).signature is None


def test_a_manifest_with_another_digest_is_refused(pushed: S3) -> None:
    assert f"The manifest of {pushed.url} has the sha256 {DIGEST}" in refusal(pushed.url, Trust("0" * 64))


@pytest.mark.parametrize("name", [PIPELINE, "pipeline.npz"])
def test_a_missing_file_is_named(pushed: S3, name: str) -> None:
    pushed.remove(name)

    assert f"{pushed.url}/{name} is missing" in refusal(pushed.url)


def test_a_missing_manifest_is_named(pushed: S3) -> None:
    pushed.remove(MANIFEST)

    assert f"{pushed.url} holds no manifest.json; push a model there" in refusal(pushed.url)


@pytest.mark.parametrize("kept", [0, 1, 1000])
def test_a_truncated_file_is_refused(pushed: S3, kept: int) -> None:
    pushed.write(PIPELINE, pushed.read(PIPELINE)[:kept])

    assert f"{pushed.url}/{PIPELINE} is not the file that its manifest lists" in refusal(pushed.url)


def test_a_file_that_changes_after_the_manifest_was_read_is_never_unpickled(pushed: S3, tmp_path: Path) -> None:
    pushed.write(PIPELINE, pickle.dumps(Malice(tmp_path / "harm")))

    assert "is not the file that its manifest lists" in refusal(pushed.url)
    assert not (tmp_path / "harm").exists()


def test_a_listed_name_outside_the_folder_is_not_asked_for(s3: S3) -> None:
    manifest: dict[str, Any] = json.loads((ARTIFACTS / MANIFEST).read_bytes())
    content = b"a file of somebody else"
    manifest["files"]["../secret"] = hashlib.sha256(content).hexdigest()
    s3.write("../secret", content)
    encoded = sealed(manifest)
    s3.write(MANIFEST, encoded)

    assert "lists '../secret', which is not a file" in refusal(s3.url, Trust(hashlib.sha256(encoded).hexdigest()))


def test_a_manifest_of_an_unknown_form_is_refused(s3: S3) -> None:
    for encoded in (b"null", b"{", b"[]", b'{"files": null}', b"\xff"):
        s3.write(MANIFEST, encoded)

        assert refusal(s3.url, Trust(hashlib.sha256(encoded).hexdigest()))


def test_more_bytes_than_allowed_are_refused_in_the_manifest_and_in_all(pushed: S3, cache_folder: Path) -> None:
    sizes = [len(pushed.read(name)) for name in (MANIFEST, *FILES)]

    for limit in (sizes[0] - 1, sum(sizes[:2]) - 1, sum(sizes) - 1):
        assert "more bytes than MODEL_MAX_BYTES" in refusal(pushed.url, Trust(DIGEST, max_bytes=limit))
    assert load(pushed.url, Trust(DIGEST, max_bytes=sum(sizes))).digest == DIGEST


def test_the_files_are_read_from_the_store_once(pushed: S3) -> None:
    load(pushed.url, Trust(DIGEST))
    pushed.remove(PIPELINE)

    assert load(pushed.url, Trust(DIGEST)).digest == DIGEST


def test_a_file_that_was_changed_in_the_cache_is_read_again(pushed: S3, cache_folder: Path, tmp_path: Path) -> None:
    load(pushed.url, Trust(DIGEST))
    for path in cache_folder.iterdir():
        path.write_bytes(pickle.dumps(Malice(tmp_path / "harm")))

    load(pushed.url, Trust(DIGEST)).verify_all()

    assert not (tmp_path / "harm").exists()


def test_the_cache_holds_the_model_that_was_read_last(pushed: S3, artifact: Path, cache_folder: Path) -> None:
    load(pushed.url, Trust(DIGEST))
    (artifact / "pipeline.npz").unlink()
    rewrite(artifact, lambda manifest: manifest["files"].pop("pipeline.npz"))
    smaller = read_content(artifact)
    push_content(smaller, pushed.url)

    read_content(pushed.url, Trust(smaller.digest))

    assert {path.name for path in cache_folder.iterdir()} == set(smaller.manifest.files.values())


def test_the_manifest_is_written_after_all_files_that_it_lists(monkeypatch: pytest.MonkeyPatch, artifact: Path) -> None:
    for name, value in S3("", "bucket").variables.items():
        monkeypatch.setenv(name, value)
    with replies(send("200 OK")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        sign(artifact, KEY)
        push_content(read_content(artifact), "s3://bucket/folder")

    written = [line.split()[1].rpartition("/")[2] for line in server.requests]
    assert written[-2:] == [SIGNATURE, MANIFEST]
    assert sorted(written[:-2]) == FILES
