"""The code in an artifact runs only if the artifact is trusted; if not, the error is one sentence."""

import hashlib
import hmac
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from serialize import ArtifactError, dump, load
from serialize.content import sign
from serialize.trust import Trust, signing_keys
from tests.support.manifests import Malice, rewrite
from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.served import environment, free_port, serve

KEY, OTHER_KEY = "a signing key of enough characters", "another key of enough characters."
SIGNATURE = "manifest.json.hmac"
GUNICORN, DEVELOPMENT = ("gunicorn", "app:app"), ("python", "app.py")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A copy of the shipped model, which tests may change."""
    return Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact"))


@pytest.fixture
def malicious(artifact: Path, tmp_path: Path) -> Path:
    """An artifact with valid digests whose pickle makes the folder `harm`."""
    content = pickle.dumps(Malice(tmp_path / "harm"))
    (artifact / "pipeline.joblib").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(artifact, lambda manifest: manifest["files"].update({"pipeline.joblib": digest}))
    return artifact


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def test_the_signature_is_the_hmac_of_the_manifest(artifact: Path) -> None:
    sign(artifact, KEY)

    expected = hmac.new(KEY.encode(), (artifact / "manifest.json").read_bytes(), "sha256").hexdigest()
    assert (artifact / SIGNATURE).read_text() == expected + "\n"


@pytest.mark.parametrize(
    "trust",
    [
        Trust(),
        Trust(keys=(KEY,)),
        Trust(keys=(KEY,), must_be_signed=True),
        Trust(digest=digest_of(ARTIFACTS)),
        Trust(digest=digest_of(ARTIFACTS).upper(), keys=(KEY,), must_be_signed=True),
    ],
)
def test_a_signed_artifact_is_loaded(artifact: Path, trust: Trust) -> None:
    sign(artifact, KEY)

    assert load(artifact, trust).digest == digest_of(artifact)


def test_a_missing_signature_is_refused_only_if_one_is_required(artifact: Path) -> None:
    assert load(artifact, Trust(keys=(KEY,))).manifest.name == "titanic"
    with pytest.raises(ArtifactError, match="is not signed"):
        load(artifact, Trust(keys=(KEY,), must_be_signed=True))


def unsigned(folder: Path) -> None:
    (folder / SIGNATURE).unlink(missing_ok=True)


def signed_with_another_key(folder: Path) -> None:
    sign(folder, OTHER_KEY)


def signed_empty(folder: Path) -> None:
    (folder / SIGNATURE).write_text("")


def signed_with_rubbish(folder: Path) -> None:
    (folder / SIGNATURE).write_bytes(b"\xff" * 64)


def signed_before_a_change(folder: Path) -> None:
    """Puts the signature of the shipped manifest next to another manifest."""
    honest = Path(shutil.copytree(ARTIFACTS, folder.parent / "honest"))
    sign(honest, KEY)
    shutil.copy(honest / SIGNATURE, folder / SIGNATURE)


def signed_with_a_link(folder: Path) -> None:
    sign(folder, KEY)
    shutil.move(folder / SIGNATURE, folder.parent / "elsewhere")
    (folder / SIGNATURE).symlink_to(folder.parent / "elsewhere")


SIGNATURES = [
    unsigned,
    signed_with_another_key,
    signed_empty,
    signed_with_rubbish,
    signed_before_a_change,
    signed_with_a_link,
]


@pytest.mark.parametrize("prepare", SIGNATURES)
def test_a_malicious_pickle_without_the_right_signature_is_not_run(
    malicious: Path, tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(malicious)

    with pytest.raises(ArtifactError):
        load(malicious, Trust(keys=(KEY,), must_be_signed=True))

    assert not (tmp_path / "harm").exists()


def test_a_malicious_pickle_of_another_digest_is_not_run(malicious: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="MODEL_DIGEST"):
        load(malicious, Trust(digest=digest_of(ARTIFACTS)))

    assert not (tmp_path / "harm").exists()


def test_a_signed_pickle_is_trusted_and_run(malicious: Path, tmp_path: Path) -> None:
    sign(malicious, KEY)

    assert not (tmp_path / "harm").exists()
    load(malicious, Trust(keys=(KEY,), must_be_signed=True))
    assert (tmp_path / "harm").exists()


def test_a_damaged_artifact_is_not_signed(artifact: Path) -> None:
    (artifact / "pipeline.npz").write_bytes(b"other")

    with pytest.raises(ArtifactError, match="is not the file that its manifest lists"):
        sign(artifact, KEY)

    assert not (artifact / SIGNATURE).exists()


@pytest.mark.parametrize("key", ["", "short", "k" * 31])
def test_a_short_key_is_refused(artifact: Path, key: str) -> None:
    with pytest.raises(ArtifactError, match=f"has {len(key)} characters; give 32 or more"):
        sign(artifact, key)
    with pytest.raises(ArtifactError, match="give 32 or more"):
        Trust(keys=(key,))


def test_the_first_of_several_keys_signs_and_all_verify(artifact: Path) -> None:
    assert signing_keys(f"{KEY}, {OTHER_KEY}") == (KEY, OTHER_KEY)
    assert signing_keys("") == ()

    for signer in (KEY, OTHER_KEY):
        sign(artifact, signer)

        assert load(artifact, Trust(keys=(KEY, OTHER_KEY), must_be_signed=True)).digest == digest_of(artifact)

    with pytest.raises(ArtifactError, match="is not the signature"):
        load(artifact, Trust(keys=(KEY,)))


@pytest.mark.parametrize("text", [f"{KEY},", f",{KEY}", f"{KEY},short", f"{KEY},,{OTHER_KEY}"])
def test_each_of_several_keys_has_its_length(text: str) -> None:
    with pytest.raises(ArtifactError, match="give 32 or more"):
        signing_keys(text)


def test_a_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(Trust(keys=(KEY,)))


def changed_byte(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def another_format(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest.update(format=99))


def a_path_that_leaves(folder: Path) -> None:
    shutil.copy(folder / "pipeline.npz", folder.parent / "outside")
    rewrite(folder, lambda manifest: manifest["files"].update({"../outside": manifest["files"]["pipeline.npz"]}))


def a_link_that_leaves(folder: Path) -> None:
    shutil.move(folder / "pipeline.npz", folder.parent / "outside")
    (folder / "pipeline.npz").symlink_to(folder.parent / "outside")


REFUSED: dict[str, tuple[Callable[[Path], object], dict[str, str], str]] = {
    "a byte of the manifest": (lambda folder: changed_byte(folder, "manifest.json"), {}, "manifest.json is damaged"),
    "a byte of the pipeline": (
        lambda folder: changed_byte(folder, "pipeline.joblib"),
        {},
        "pipeline.joblib is not the",
    ),
    "a byte of the compiled": (lambda folder: changed_byte(folder, "pipeline.npz"), {}, "pipeline.npz is not the"),
    "a file too many": (
        lambda folder: (folder / "x.py").write_text(""),
        {},
        "'x.py', which its manifest does not list",
    ),
    "a path that leaves": (a_path_that_leaves, {}, "'../outside', which is not a file of its own folder"),
    "a link that leaves": (a_link_that_leaves, {}, "pipeline.npz is a symbolic link"),
    "another format": (another_format, {}, "has format 99, and this version reads format"),
    "another digest": (lambda folder: None, {"MODEL_DIGEST": "0" * 64}, "not the one in MODEL_DIGEST"),
    "no digest at all": (lambda folder: None, {"MODEL_DIGEST": "latest"}, "MODEL_DIGEST is 'latest'"),
    "unsigned": (unsigned, {"MODEL_SIGNING_KEY": KEY, "REQUIRE_SIGNED": "1"}, "is not signed"),
    "wrongly signed": (
        signed_with_another_key,
        {"MODEL_SIGNING_KEY": KEY, "REQUIRE_SIGNED": "1"},
        "is not the signature of its manifest",
    ),
    "no key to check with": (unsigned, {"REQUIRE_SIGNED": "1"}, "REQUIRE_SIGNED needs MODEL_SIGNING_KEY"),
    "a short key": (unsigned, {"MODEL_SIGNING_KEY": "short"}, "MODEL_SIGNING_KEY has 5 characters"),
}


@pytest.mark.long  # a process for each
@pytest.mark.parametrize(
    ("command", "case"),
    [(GUNICORN, case) for case in REFUSED] + [(DEVELOPMENT, case) for case in ("a byte of the manifest", "unsigned")],
)
def test_the_service_does_not_start_with_an_untrusted_artifact(
    artifact: Path, tmp_path: Path, command: tuple[str, str], case: str
) -> None:
    change, variables, says = REFUSED[case]
    change(artifact)
    places = {"ARTIFACTS": str(artifact), "DATABASE_URL": f"sqlite:///{tmp_path}/log.db", "PORT": str(free_port())}

    ended = subprocess.run(
        command, cwd=PROJECT, env=environment(**places, **variables), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip

    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert said.count("The service cannot start.") == 1
    assert says in said
    assert "Traceback" not in said
    assert KEY not in said
    if (log := tmp_path / "log.db").exists():  # it is not if a setting is wrong
        with closing(sqlite3.connect(log)) as database:
            assert database.execute("SELECT count(*) FROM model").fetchone() == (0,)


def test_a_signed_model_is_served_and_another_library_version_is_logged(artifact: Path, tmp_path: Path) -> None:
    rewrite(artifact, lambda manifest: manifest.update(libraries={"scikit-learn": "1.2.3", "pandas": "0.25.3"}))
    sign(artifact, KEY)
    trusted = {"MODEL_DIGEST": digest_of(artifact), "MODEL_SIGNING_KEY": KEY, "REQUIRE_SIGNED": "1"}

    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=artifact, variables=trusted) as served:
        log = served.log.read_text()

    assert "level=warning event=other-version library=scikit-learn dumped_with=1.2.3 installed=1." in log
    assert "library=pandas dumped_with=0.25.3 installed=" in log
    assert log.count("event=other-version") == 2


def test_under_another_version_the_golden_rows_decide(artifact: Path) -> None:
    def alter(manifest: dict[str, Any]) -> None:
        manifest["libraries"] = {"scikit-learn": "1.2.3"}
        manifest["golden"]["rows"][0]["output"] = [0.5, 0.5]

    rewrite(artifact, alter)

    assert load(artifact).other_versions[0][:2] == ("scikit-learn", "1.2.3")
    with pytest.raises(ArtifactError, match="golden rows give other outputs"):
        load(artifact).verify_all()


def serialize(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serialize", *arguments]
    given = environment(**variables)
    return subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.long
def test_the_command_line_signs_shows_and_verifies(artifact: Path) -> None:
    signed = serialize("sign", str(artifact), MODEL_SIGNING_KEY=KEY)
    shown = serialize("show", str(artifact))
    verified = serialize("verify", str(artifact), MODEL_SIGNING_KEY=KEY, REQUIRE_SIGNED="1")
    pinned = serialize("verify", str(artifact), "--digest", digest_of(artifact))

    assert [each.returncode for each in (signed, shown, verified, pinned)] == [0, 0, 0, 0]
    assert digest_of(artifact) in signed.stdout
    assert f"manifest.json: sha256 {digest_of(artifact)}" in shown.stdout
    assert "signed: yes" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["sign"], {}, "Set MODEL_SIGNING_KEY"),
        (["sign"], {"MODEL_SIGNING_KEY": "short"}, "give 32 or more"),
        (["sign", "--key", KEY], {}, "not on the command line"),
        (["verify"], {"MODEL_SIGNING_KEY": KEY, "REQUIRE_SIGNED": "1"}, "is not signed"),
        (["verify", "--signed"], {}, "REQUIRE_SIGNED needs MODEL_SIGNING_KEY"),
        (["verify"], {"MODEL_DIGEST": "0" * 64}, "not the one in MODEL_DIGEST"),
        (["verify", "--digest", "é"], {}, "not the one in MODEL_DIGEST"),
    ],
)
def test_the_command_line_refuses_in_one_line(
    artifact: Path, arguments: list[str], variables: dict[str, str], says: str
) -> None:
    refused = serialize(*arguments, str(artifact), **variables)

    assert refused.returncode != 0
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert KEY not in refused.stderr
    assert not (artifact / SIGNATURE).exists()


def test_show_does_not_run_the_model(malicious: Path, tmp_path: Path) -> None:
    assert serialize("show", str(malicious)).returncode == 0
    assert not (tmp_path / "harm").exists()


def test_a_new_dump_removes_the_earlier_signature(artifact: Path) -> None:
    sign(artifact, KEY)
    X, y = [[0.0], [1.0]] * 10, [False, True] * 10

    dump(LogisticRegression().fit(X, y), X, y, artifact, name="later")

    assert not (artifact / SIGNATURE).exists()
    with pytest.raises(ArtifactError, match="is not signed"):
        load(artifact, Trust(keys=(KEY,), must_be_signed=True))
