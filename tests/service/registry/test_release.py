"""A release step registers the model of ARTIFACTS and promotes it if it is new."""

import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serialize.content import push_content, read_content, sign
from serialize.errors import ArtifactError, StoreError
from service.errors import ModelConflict
from service.registry.release import registry_of, release
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.migrate import prepare
from service.storage.session import Session
from tests.support.moto import S3
from tests.support.replies import replies, send

KEY = "k" * 32


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The observations of the log that every model refuses, by column."""
    refused: dict[str, int] = {}
    monkeypatch.setattr("service.registry.release.prove", lambda _: refused)
    return refused


@pytest.fixture
def settings(database_url: str, artifacts: dict[str, Path], refused: dict[str, int]) -> Settings:
    settings = Settings(database_url=database_url, artifacts=str(artifacts["titanic"]), model_signing_key=KEY)
    prepare(database_of(settings))
    return settings


@pytest.fixture
def deploy(
    settings: Settings, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], bool | None]:
    """Does the release step of a machine with one of the models, and tells whether it promoted it."""

    def deploy(machine: str, model: str) -> bool | None:
        monkeypatch.setattr(socket, "gethostname", lambda: machine)
        return release(replace(settings, artifacts=str(artifacts[model])))[1]

    return deploy


def champion(settings: Settings) -> str | None:
    session = Session(database_of(settings))
    registry = registry_of(settings, session)
    assert registry is not None
    found = registry.promotions.champion()
    session.close()
    return found


def test_a_model_that_cannot_be_proven_does_not_replace_the_champion(
    settings: Settings, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(version: str) -> dict[str, int]:
        raise ArtifactError(f"Model {version} cannot be proven: a library is missing")

    before, _ = release(settings)
    other = replace(settings, artifacts=str(artifacts["iris"]))
    with monkeypatch.context() as patched:
        patched.setattr("service.registry.release.prove", fail)
        assert release(settings) == (before, False)  # it replaces nothing
        with pytest.raises(ArtifactError, match="a library is missing"):
            release(other)
    assert champion(settings) == before.version

    after, promoted = release(other)  # the step that failed does not count
    assert promoted is True
    assert champion(settings) == after.version


def test_a_release_warns_of_observations_that_its_model_refuses(
    settings: Settings, artifacts: dict[str, Path], refused: dict[str, int]
) -> None:
    release(settings)
    refused |= {"Sex": 2, "Age": 7}
    said: list[str] = []

    content, promoted = release(replace(settings, artifacts=str(artifacts["iris"])), said.append)

    assert promoted is True
    assert said == [f"Model {content.version} refuses observations of the log, by column: Age (7), Sex (2)."]


def test_the_first_release_promotes_and_a_restart_does_not(settings: Settings) -> None:
    content, promoted = release(settings)

    assert promoted is True
    assert champion(settings) == content.version
    assert release(settings) == (content, False)


def test_a_new_model_is_promoted(settings: Settings, artifacts: dict[str, Path]) -> None:
    release(settings)
    content, promoted = release(replace(settings, artifacts=str(artifacts["iris"])))

    assert promoted is True
    assert champion(settings) == content.version


def test_in_a_rolling_deploy_an_old_machine_that_restarts_does_not_bring_back_its_model(
    settings: Settings, deploy: Callable[[str, str], bool | None], artifacts: dict[str, Path]
) -> None:
    assert [deploy("one", "titanic"), deploy("two", "titanic")] == [True, False]

    assert deploy("one", "iris") is True
    assert deploy("two", "titanic") is False  # it restarts half-way
    assert deploy("two", "iris") is False
    assert deploy("one", "iris") is False

    assert champion(settings) == read_content(artifacts["iris"]).version


def test_a_rollback_of_a_deploy_on_two_machines_brings_back_the_old_model(
    settings: Settings, deploy: Callable[[str, str], bool | None], artifacts: dict[str, Path]
) -> None:
    for model in ("titanic", "iris"):
        assert [deploy("one", model), deploy("two", model)] == [True, False]

    assert deploy("two", "titanic") is True
    assert deploy("one", "iris") is False  # it restarts before it is rolled back
    assert deploy("one", "titanic") is False
    assert champion(settings) == read_content(artifacts["titanic"]).version

    assert [deploy("one", "iris"), deploy("two", "iris")] == [True, False]


def test_a_retrained_champion_outlives_restarts_and_new_machines_until_the_next_model_is_deployed(
    settings: Settings, deploy: Callable[[str, str], bool | None], artifacts: dict[str, Path]
) -> None:
    assert [deploy("one", "titanic"), deploy("two", "titanic")] == [True, False]
    retrained = read_content(artifacts["diabetes"])
    session = Session(database_of(settings))
    registry = registry_of(settings, session)
    assert registry is not None
    registry.register(retrained, "me@here")
    registry.promotions.promote(retrained.version, champion(settings), "me@here")
    session.close()

    assert [deploy(machine, "titanic") for machine in ("one", "two", "three")] == [False] * 3
    assert champion(settings) == retrained.version

    assert [deploy("one", "iris"), deploy("two", "iris")] == [True, False]
    assert champion(settings) == read_content(artifacts["iris"]).version


def test_with_a_digest_the_registry_stays_as_it_is(settings: Settings) -> None:
    content, _ = release(settings)

    assert release(replace(settings, model_digest=content.digest)) == (content, None)


def test_what_is_not_trusted_is_not_signed(settings: Settings, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(settings.artifacts, tmp_path / "copy"))
    strict = replace(settings, artifacts=str(folder), require_signed=True)

    with pytest.raises(ArtifactError, match="is not signed"):
        release(strict)
    assert champion(settings) is None
    sign(folder, "o" * 32)
    with pytest.raises(ArtifactError, match="is not the signature"):
        release(replace(strict, require_signed=False))
    sign(folder, KEY)
    assert release(strict)[1] is True


def test_postgresql_without_a_key_has_no_registry(postgresql_url: str, artifacts: dict[str, Path]) -> None:
    settings = Settings(database_url=postgresql_url, artifacts=str(artifacts["titanic"]))
    prepare(database_of(settings))

    assert release(settings)[1] is None
    assert registry_of(settings, Session(database_of(settings))) is None


def away(settings: Settings, **changed: Any) -> Settings:
    """The settings with a URL that cannot be read."""
    given = {"artifacts": "file:///no-such-folder/model", "require_signed": True, **changed}
    return replace(settings, **given)


@pytest.mark.long  # starts the program that reads a URL
@pytest.mark.parametrize("url", ["file:///no-such-folder/model", "s3://bucket/folder"])
def test_a_url_that_cannot_be_read_does_not_stop_a_release_with_a_champion(
    settings: Settings, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, _ = release(settings)
    told: list[str] = []
    for name, value in S3("", "bucket").variables.items():
        monkeypatch.setenv(name, value)
    with replies(send("404 Not Found", b"<Code>NoSuchBucket</Code>")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        kept, promoted = release(away(settings, artifacts=url), told.append)

    assert (kept.version, promoted) == (content.version, False)
    assert told == [f"{url} cannot be read: {told[0].partition('read: ')[2]}"]
    assert told[0].endswith(f"So model {content.version} stays the champion.")
    assert release(settings)[1] is False


@pytest.mark.long  # starts the program that reads a URL
def test_a_folder_without_a_model_does_not_stop_a_release_with_a_champion(settings: Settings, tmp_path: Path) -> None:
    release(settings)
    told: list[str] = []

    release(away(settings, artifacts=f"file://{tmp_path}"), told.append)

    assert "holds no manifest.json" in told[0]


@pytest.mark.long  # starts the program that reads a URL
def test_a_url_that_cannot_be_read_stops_a_release_without_a_champion_that_can_serve(settings: Settings) -> None:
    with pytest.raises(ArtifactError, match="cannot be read: there is no such"):
        release(away(settings))
    content, _ = release(settings)

    with pytest.raises(ArtifactError, match=r"The champion cannot serve either: .*MODEL_DIGEST"):
        release(away(settings, model_digest="0" * 64))
    with pytest.raises(ArtifactError, match=r"The champion cannot serve either: .*signature"):
        release(away(settings, model_signing_key="o" * 32))
    assert champion(settings) == content.version


@pytest.mark.long  # starts the program that reads a URL
def test_a_model_that_is_not_trusted_or_too_large_stops_a_release_in_any_case(
    settings: Settings, tmp_path: Path
) -> None:
    release(settings)
    url = f"file://{tmp_path}/pushed"
    push_content(read_content(settings.artifacts), url)

    with pytest.raises(ArtifactError, match="is not signed"):
        release(away(settings, artifacts=url))
    with pytest.raises(ArtifactError, match="more bytes than MODEL_MAX_BYTES"):
        release(away(settings, artifacts=url, model_max_bytes=100))


def test_a_folder_that_is_too_large_stops_a_release_only_if_a_champion_would_serve_in_its_place(
    settings: Settings, artifacts: dict[str, Path]
) -> None:
    small = replace(settings, model_max_bytes=100)
    warnings: list[str] = []

    content, promoted = release(small, warnings.append)

    assert promoted is None
    assert "MODEL_MAX_BYTES allows" in warnings[0]
    assert champion(settings) is None
    assert release(settings) == (content, True)
    with pytest.raises(ModelConflict, match="MODEL_MAX_BYTES allows"):
        release(replace(small, artifacts=str(artifacts["iris"])))


def test_postgresql_without_a_key_has_no_champion_to_go_on_with(postgresql_url: str) -> None:
    settings = Settings(database_url=postgresql_url, artifacts="file:///no-such-folder/model", model_digest="0" * 64)
    prepare(database_of(settings))

    with pytest.raises(StoreError, match="cannot be read"):
        release(settings)
