"""A start serves the champion; if it cannot, the model of ARTIFACTS, and it says why."""

import posix
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from serialize.content import Content, read_content
from serialize.errors import ArtifactError
from service.registry.registry import Registry
from service.storage.session import Session
from tests.conftest import MakeClient
from tests.service.registry.changes import CHANGES
from tests.service.registry.conftest import KEY
from tests.support.manifests import rewrite


@pytest.fixture
def served(make_client: MakeClient, database_url: str, artifacts: dict[str, Path]) -> Callable[..., str]:
    """The version that a new start serves, with the titanic model in ARTIFACTS."""

    def served(**settings: str) -> str:
        given = {"artifacts": str(artifacts["titanic"]), "model_signing_key": KEY, **settings}
        return str(make_client(database_url=database_url, **given).get("/model").json["version"])

    return served


@pytest.fixture
def titanic(artifacts: dict[str, Path]) -> Content:
    return read_content(artifacts["titanic"])


@pytest.fixture
def iris(artifacts: dict[str, Path]) -> Content:
    return read_content(artifacts["iris"])


def test_the_first_start_makes_its_model_the_champion(
    served: Callable[..., str], registry: Registry, titanic: Content
) -> None:
    assert served() == titanic.version
    assert registry.promotions.champion() == titanic.version
    assert served() == titanic.version
    assert len(registry.promotions.history()) == 1


def test_a_start_serves_the_champion_and_not_the_folder(
    served: Callable[..., str],
    registry: Registry,
    iris: Content,
    titanic: Content,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served()
    assert "artifacts-not-served" not in capsys.readouterr().out
    registry.promote(registry.register(iris, "me@here").version, "me@here")

    assert served() == iris.version
    assert f"event=artifacts-not-served version={titanic.version}" in capsys.readouterr().out
    assert served(artifacts=str(tmp_path / "missing")) == iris.version


def test_a_start_knows_the_champion_that_it_serves(
    make_client: MakeClient, served: Callable[..., str], database_url: str, titanic: Content
) -> None:
    served()

    card = make_client(database_url=database_url, model_signing_key=KEY).get("/model").json

    assert (card["serving"], card["wanted"]) == (titanic.version, titanic.version)


def test_a_start_is_refused_if_the_model_does_not_answer_as_it_did(
    served: Callable[..., str], artifacts: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    copytree(artifacts["titanic"], folder)
    rewrite(folder, lambda manifest: manifest["golden"]["rows"][0].update(output=[0.5, 0.5]))

    with pytest.raises(ArtifactError, match="golden row"):
        served(artifacts=str(folder))


def test_a_start_with_a_champion_does_not_read_the_url(
    served: Callable[..., str], registry: Registry, iris: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(registry.register(iris, "me@here").version, "me@here")
    monkeypatch.delattr(posix, "posix_spawn")

    assert served(artifacts="s3://no-such-bucket/folder", require_signed=True) == iris.version


@pytest.mark.long  # starts the program that reads a URL
def test_a_start_without_a_champion_needs_the_url(served: Callable[..., str]) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        served(artifacts="file:///no-such-folder/model", require_signed=True)


@pytest.mark.parametrize("change", CHANGES)
def test_a_champion_that_cannot_serve_is_named_and_stays_the_champion(
    served: Callable[..., str],
    registry: Registry,
    iris: Content,
    titanic: Content,
    change: Callable[[Registry, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    version = registry.register(iris, "me@here").version
    registry.promote(version, "me@here")
    change(registry, version)

    assert served() == titanic.version
    assert f"level=error event=champion-unusable version={version}" in capsys.readouterr().out
    assert registry.promotions.champion() == version
    with pytest.raises(ArtifactError):
        served(artifacts="no-such-folder")


def test_the_digest_decides_before_the_champion(
    served: Callable[..., str],
    registry: Registry,
    iris: Content,
    titanic: Content,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry.promote(registry.register(iris, "me@here").version, "me@here")

    assert served(model_digest=titanic.digest) == titanic.version
    assert "champion-unusable" not in capsys.readouterr().out
    assert registry.promotions.champion() == iris.version


def test_a_model_that_is_too_large_serves_and_is_not_registered(
    make_client: MakeClient, registry: Registry, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client(database_url=database_url, model_signing_key=KEY, model_max_bytes=1000)

    assert client.get("/readyz").status_code == 200
    assert "event=not-registered" in capsys.readouterr().out
    assert registry.promotions.champion() is None


def test_a_model_that_the_database_cannot_take_serves(
    served: Callable[..., str],
    registry: Registry,
    session: Session,
    titanic: Content,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with session.database.connection_context():
        session.database.execute_sql("ALTER TABLE model_file RENAME TO another")  # so that no file can be stored

    assert served() == titanic.version
    assert f"event=not-registered version={titanic.version}" in capsys.readouterr().out
    assert registry.promotions.champion() is None


def test_postgresql_without_a_key_serves_the_folder_and_says_what_to_set(
    make_client: MakeClient, postgresql_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_client(database_url=postgresql_url).get("/readyz").status_code == 200
    assert "event=registry-off" in capsys.readouterr().out
