"""The commands of the registry, from a release to a rollback."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from serialize.content import push_content, read_content, sign
from service.__main__ import main
from tests.conftest import MakeClient
from tests.support.moto import S3
from tests.support.passengers import prediction

KEY, OTHER = "k" * 32, "o" * 32


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database_url: str, artifacts: dict[str, Path]) -> Any:
    """Runs a command on an empty database of each kind. Its last lines are the result."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ARTIFACTS", str(artifacts["titanic"]))
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


def last_line(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return str(result.output.splitlines()[-1])


def listed(run: Any) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in run("models", "--json").output.splitlines()]
    return {row["version"]: row for row in rows}


@pytest.mark.long  # proves models in processes of their own
def test_a_model_is_released_registered_promoted_rolled_back_and_retired(
    run: Any, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    first = read_content(artifacts["titanic"]).version
    assert last_line(run("release")) == f"Model {first} is the champion now."
    assert last_line(run("release")) == f"Model {first} is registered; the champion stays."

    second = last_line(run("register", str(artifacts["iris"]), "--note", "flowers"))
    assert second == read_content(artifacts["iris"]).version
    assert last_line(run("promote", second, "--reason", "try it")) == f"{second} is the champion."
    assert listed(run)[second]["champion"] is True
    assert listed(run)[second]["note"] == "flowers"
    assert "champion" in run("models").output

    assert last_line(run("rollback")) == f"{first} is the champion."
    assert run("retire", first).output == (
        f"Error: Model {first} is the champion; promote another one before you retire it.\n"
    )
    assert last_line(run("pull", second, "-o", str(tmp_path / "pulled"))).startswith(second)
    assert read_content(tmp_path / "pulled").version == second
    assert last_line(run("retire", second)) == f"{second} is retired."
    assert listed(run)[second]["state"] == "retired"
    refused = run("promote", second)
    assert (refused.exit_code, refused.output) == (
        1, f"Error: Model {second} is retired, so it cannot serve; register it again.\n",
    )  # fmt: skip


def test_the_list_shows_brackets_of_a_note(run: Any, artifacts: dict[str, Path]) -> None:
    run("release")
    assert run("register", str(artifacts["iris"]), "--note", "[v2] [/v2]").exit_code == 0

    assert "[v2] [/v2]" in " ".join(run("models").output.split())


@pytest.mark.long  # proves a model in a process of its own
def test_a_model_that_refuses_logged_observations_names_the_columns(
    run: Any, make_client: MakeClient, database_url: str, artifacts: dict[str, Path]
) -> None:
    run("release")
    client = make_client(database_url=database_url, model_signing_key=KEY)
    for number in range(3):
        assert client.post("/predict", json=prediction(number)).status_code == 200
    flowers = last_line(run("register", str(artifacts["iris"])))

    refused = run("promote", flowers)

    assert refused.exit_code == 1
    assert "refuses observations of the log, by column" in refused.output
    assert "Age (3)" in refused.output
    assert last_line(run("promote", flowers, "--force")) == f"{flowers} is the champion."


@pytest.mark.long  # starts a process that loads a model
def test_a_model_that_answers_otherwise_than_at_its_dump_is_not_promoted(
    run: Any, tmp_path: Path, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("release")
    version = last_line(run("register", str(artifacts["iris"])))
    monkeypatch.setenv("MODEL_SIGNING_KEY", OTHER)

    refused = run("promote", version)

    assert refused.exit_code == 1
    assert "is not the signature" in refused.output
    assert "Traceback" not in refused.output


def test_the_keys_are_replaced_without_a_moment_without_a_valid_signature(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("release")
    monkeypatch.setenv("MODEL_SIGNING_KEY", f"{OTHER},{KEY}")

    assert last_line(run("models", "resign")) == "1 models were signed with the new key."
    assert last_line(run("models", "resign")) == "0 models were signed with the new key."


def test_the_key_of_the_file_becomes_the_old_key_of_the_variable_or_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifacts: dict[str, Path]
) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/log.db")
    monkeypatch.setenv("ARTIFACTS", str(artifacts["titanic"]))
    monkeypatch.delenv("MODEL_SIGNING_KEY", raising=False)
    run("release")
    file = tmp_path / "log.db.model-key"
    monkeypatch.setenv("MODEL_SIGNING_KEY", f"{OTHER},{file.read_text().strip()}")
    assert last_line(run("models", "resign")) == "1 models were signed with the new key."

    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)
    version = read_content(artifacts["titanic"]).version
    assert "is not the signature" in run("pull", version, "-o", str(tmp_path / "pulled")).output
    assert last_line(run("register", str(artifacts["titanic"]))) == version
    assert last_line(run("pull", version, "-o", str(tmp_path / "pulled"))).startswith(version)


def test_postgresql_without_a_key_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, postgresql_url: str, artifacts: dict[str, Path]
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgresql_url)
    monkeypatch.setenv("ARTIFACTS", str(artifacts["titanic"]))
    monkeypatch.delenv("MODEL_SIGNING_KEY", raising=False)

    released = CliRunner().invoke(main, ["release"])
    listed = CliRunner().invoke(main, ["models"])

    assert released.output.endswith("is not registered.\n")
    assert listed.exit_code == 1
    assert "MODEL_SIGNING_KEY" in listed.output


@pytest.mark.parametrize(
    "arguments",
    [("promote", "0" * 12), ("retire", "0" * 12), ("pull", "0" * 12, "-o", "out"), ("rollback",), ("register", "no")],
)
def test_what_cannot_be_done_is_one_sentence(run: Any, arguments: tuple[str, ...]) -> None:
    run("migrate")

    result = run(*arguments)

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert len(result.output.splitlines()) == 1


def test_an_empty_database_has_no_registry_and_no_file_is_made(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("models")

    assert result.exit_code == 1
    assert "python -m service migrate" in result.output


@pytest.mark.long  # starts the program that reads a URL
def test_a_release_without_its_url_succeeds_with_one_warning(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_SIGNED", "1")
    folder = os.environ["ARTIFACTS"]
    monkeypatch.setenv("ARTIFACTS", "file:///no-such-folder/model")
    refused = run("release")
    monkeypatch.setenv("ARTIFACTS", folder)
    monkeypatch.setenv("REQUIRE_SIGNED", "0")
    version = last_line(run("release")).split()[1]
    monkeypatch.setenv("ARTIFACTS", "file:///no-such-folder/model")
    monkeypatch.setenv("REQUIRE_SIGNED", "1")

    result = run("release")

    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("Error: file:///no-such-folder/model cannot be read: ")
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Warning: file:///no-such-folder/model cannot be read: ")
    assert result.stdout.endswith(f"Model {version} is registered; the champion stays.\n")


@pytest.mark.long  # reads a URL and proves a model, in processes of their own
def test_a_large_model_is_registered_promoted_and_pulled_by_its_url(
    run: Any, artifacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3
) -> None:
    run("release")
    content = read_content(artifacts["iris"])
    push_content(content, s3.url)
    monkeypatch.setenv("MODEL_MAX_BYTES", str(sum(map(len, content.files.values())) - 1))

    assert "register its URL" in run("register", str(artifacts["iris"])).output
    assert "give --digest" in run("register", s3.url).output
    refused = run("register", s3.url, "--digest", "0" * 64)
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    version = last_line(run("register", s3.url, "--digest", content.digest))

    assert version == content.version
    assert listed(run)[version]["url"] == s3.url
    assert last_line(run("models")) == f"The files of {version} are at {s3.url}."
    assert last_line(run("promote", version)) == f"{version} is the champion."
    assert last_line(run("pull", version, "-o", str(tmp_path / "pulled"))).startswith(version)
    assert read_content(tmp_path / "pulled").files == content.files


@pytest.mark.long  # reads a URL in a process of its own
def test_a_signed_model_is_registered_by_its_url_without_a_digest(
    run: Any, artifacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("migrate")
    folder = Path(shutil.copytree(artifacts["iris"], tmp_path / "copy"))
    sign(folder, KEY)
    push_content(read_content(folder), f"file://{tmp_path}/pushed")
    monkeypatch.setenv("REQUIRE_SIGNED", "1")

    version = last_line(run("register", f"file://{tmp_path}/pushed"))

    assert listed(run)[version]["url"] is None


def test_a_copied_log_does_not_carry_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_SIGNING_KEY", raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/log.db")
    assert CliRunner().invoke(main, ["release"]).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "log.db", tmp_path / "copy" / "log.db")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/copy/log.db")

    refused = CliRunner().invoke(main, ["models", "resign"])

    assert refused.exit_code == 1
    assert "is not the signature" in refused.output
