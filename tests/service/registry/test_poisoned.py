"""Who can write the database cannot thereby run code in the service: a model that was changed there is refused, and its
pickle is never loaded."""

import hashlib
import os
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from serialize.content import Content, read_content
from serialize.errors import ArtifactError
from serialize.manifest import Manifest
from serialize.trust import signature
from service.errors import ModelConflict
from service.registry.proof import prove
from service.registry.registry import Registry
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.models import store as model_store
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.conftest import Client, MakeClient

KEY, OTHER = "k" * 32, "o" * 32
PART_BYTES = 1000  # the pipeline has several parts then

Change = Callable[["Attacker"], None]


class Canary:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


class Attacker:
    """Writes the database with SQL, and knows no key. `poison` is a pickle that fills the first part of a file."""

    def __init__(self, url: str, version: str, manifest: bytes, canary: Path) -> None:
        self.url, self.version, self.manifest = url, version, manifest
        self.poison = pickle.dumps(Canary(canary)).ljust(PART_BYTES, b"\0")

    def run(self, statement: str, *values: Any) -> None:
        """Runs a statement for the rows of the model; its marks are %s."""
        if self.url.startswith("sqlite:///"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
                assert connection.execute(statement.replace("%s", "?"), values).rowcount
                connection.commit()
        else:
            with psycopg.connect(self.url) as postgresql:
                assert postgresql.execute(statement.encode(), values).rowcount

    def change_parts(self, change: str, *values: Any) -> None:
        """Changes the parts of the pipeline; `change` begins with SET or ends the condition."""
        verb, rest = ("UPDATE model_file", change) if change.startswith("SET") else ("DELETE FROM model_file", change)
        self.run(f"{verb} {rest} AND name = 'pipeline.joblib' AND version = %s", *values, self.version)

    def replace_all(self, key: str | None) -> None:
        """Makes the poison the whole pipeline, in a manifest that lists its digest, signed with a key, or with the old
        signature."""
        self.change_parts("WHERE part > 0")
        self.change_parts("SET bytes = %s WHERE part = 0", self.poison)
        manifest = Manifest.from_bytes(self.manifest)
        digests = {**manifest.files, "pipeline.joblib": hashlib.sha256(self.poison).hexdigest()}
        forged = replace(manifest, files=digests).to_bytes()
        signed = signature(forged if key else self.manifest, key or KEY)
        self.run("UPDATE model SET manifest = %s, signature = %s WHERE version = %s", forged, signed, self.version)


def poisoned_file(attacker: Attacker) -> None:
    attacker.change_parts("SET bytes = %s WHERE part = 0", attacker.poison)


def replaced_manifest_with_the_old_signature(attacker: Attacker) -> None:
    attacker.replace_all(None)


def replaced_manifest_signed_by_another_key(attacker: Attacker) -> None:
    attacker.replace_all(OTHER)


def replaced_manifest_without_a_signature(attacker: Attacker) -> None:
    attacker.replace_all(OTHER)
    attacker.run("UPDATE model SET signature = '' WHERE version = %s", attacker.version)


def truncated_part(attacker: Attacker) -> None:
    attacker.change_parts("SET bytes = substr(bytes, 1, 999) WHERE part = 0")


def missing_part(attacker: Attacker) -> None:
    attacker.change_parts("WHERE part = 1")


def part_too_many(attacker: Attacker) -> None:
    insert = "INSERT INTO model_file (version, name, part, bytes) VALUES (%s, 'pipeline.joblib', %s, %s)"
    attacker.run(insert, attacker.version, -1, attacker.poison)


def empty_signature(attacker: Attacker) -> None:
    attacker.run("UPDATE model SET signature = '' WHERE version = %s", attacker.version)


POISONED: list[Change] = [
    poisoned_file,
    replaced_manifest_with_the_old_signature,
    replaced_manifest_signed_by_another_key,
    replaced_manifest_without_a_signature,
    part_too_many,
]
CHANGES: list[Change] = [*POISONED, truncated_part, missing_part, empty_signature]


@pytest.fixture
def registry(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with small parts. It does not notice that a manifest belongs to another version: the signature alone
    must suffice."""
    monkeypatch.setattr(model_store, "PART_BYTES", PART_BYTES)
    monkeypatch.setattr("service.registry.registry._require_version", lambda *_: None)
    database = connect(database_url)
    prepare(database)
    session = Session(database)
    yield Registry(ModelStore(session), Promotions(session), (KEY,), 2**30, prove)
    session.close()


@pytest.fixture
def iris(artifacts: dict[str, Path]) -> Content:
    return read_content(artifacts["iris"])


@pytest.fixture
def titanic(artifacts: dict[str, Path]) -> Content:
    return read_content(artifacts["titanic"])


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What the poison makes when it is unpickled."""
    return tmp_path / "canary"


@pytest.fixture
def attacker(registry: Registry, iris: Content, database_url: str, canary: Path) -> Attacker:
    """One that may change the iris model, which is registered."""
    version = registry.register(iris, "me@here").version
    return Attacker(database_url, version, iris.encoded, canary)


@pytest.fixture
def start(make_client: MakeClient, database_url: str, artifacts: dict[str, Path]) -> Callable[[], Client]:
    """Starts the service with the titanic model in ARTIFACTS."""
    return lambda: make_client(database_url=database_url, artifacts=str(artifacts["titanic"]), model_signing_key=KEY)


def test_the_poison_runs_code_if_it_is_signed(
    registry: Registry, attacker: Attacker, start: Callable[[], Client], canary: Path
) -> None:
    """Shows that the other tests would notice."""
    registry.promotions.promote(attacker.version, None, "me@here")
    attacker.replace_all(KEY)

    start()

    assert canary.exists()


@pytest.mark.long  # starts a service for each change
@pytest.mark.parametrize("change", CHANGES)
def test_a_start_does_not_unpickle_a_changed_model(
    registry: Registry,
    attacker: Attacker,
    start: Callable[[], Client],
    titanic: Content,
    canary: Path,
    capsys: pytest.CaptureFixture[str],
    change: Change,
) -> None:
    registry.promotions.promote(attacker.version, None, "me@here")
    change(attacker)

    assert start().get("/model").json["version"] == titanic.version
    assert "event=champion-unusable" in capsys.readouterr().out
    assert not canary.exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_not_pulled(
    registry: Registry, attacker: Attacker, canary: Path, tmp_path: Path, change: Change
) -> None:
    change(attacker)

    with pytest.raises(ArtifactError):
        registry.pull(attacker.version, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    assert not canary.exists()


@pytest.mark.long  # proves a model in a process of its own
@pytest.mark.parametrize("change", POISONED)
def test_a_changed_model_is_not_unpickled_by_a_promotion(
    registry: Registry,
    attacker: Attacker,
    titanic: Content,
    canary: Path,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    change: Change,
) -> None:
    champion = registry.register(titanic, "me@here").version
    registry.promotions.promote(champion, None, "me@here")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)
    change(attacker)

    with pytest.raises(ModelConflict, match="cannot be proven"):
        registry.promote(attacker.version, "me@here", force=True)
    assert registry.promotions.champion() == champion
    assert not canary.exists()


@pytest.mark.long  # starts a service for each change
@pytest.mark.parametrize("change", CHANGES)
def test_a_swap_does_not_unpickle_a_changed_model(
    registry: Registry, attacker: Attacker, start: Callable[[], Client], titanic: Content, canary: Path, change: Change
) -> None:
    client = start()
    change(attacker)
    assert registry.promotions.promote(attacker.version, titanic.version, "me@here")

    client.application.extensions["swap"].look()

    card = client.get("/model").json
    assert (card["serving"], card["wanted"]) == (titanic.version, attacker.version)
    assert card["why"]
    assert not canary.exists()


def test_a_swap_takes_the_model_that_was_not_changed(
    registry: Registry, attacker: Attacker, start: Callable[[], Client], titanic: Content
) -> None:
    client = start()
    registry.promotions.promote(attacker.version, titanic.version, "me@here")

    client.application.extensions["swap"].look()

    assert client.get("/model").json["version"] == attacker.version
