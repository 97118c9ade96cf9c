"""A service whose log a second model scores too."""

from pathlib import Path
from shutil import copytree

import pytest

from serialize.content import Content, read_content
from service.registry.registry import Registry
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.conftest import Client, MakeClient
from tests.support.manifests import rewrite
from tests.support.passengers import ARTIFACTS, all_passengers

KEY = "k" * 32


@pytest.fixture
def service(make_client: MakeClient, database_url: str) -> Client:
    """A service that starts with the titanic model, which is the champion."""
    return make_client(database_url=database_url, model_signing_key=KEY)


@pytest.fixture
def models(service: Client, session: Session) -> Registry:
    """The registry of the service; its proof accepts every model."""
    return Registry(ModelStore(session), Promotions(session), (KEY,), 2**30, lambda _: {})


@pytest.fixture
def twin(tmp_path: Path) -> Content:
    """The titanic model under another name, so that it has another version and the same answers."""
    folder = tmp_path / "twin"
    copytree(ARTIFACTS, folder)
    rewrite(folder, lambda manifest: manifest.update(name="twin"))
    return read_content(folder)


def fill(service: Client, rows: int) -> str:
    """Labelled predictions of passengers with the ids 0, 1, ... Returns the version that answered."""
    observations = all_passengers()[:rows]
    service.post("/predict", json=[{"id": i, "observation": one} for i, one in enumerate(observations)])
    service.post("/update", json=[{"id": i, "true_class": i % 3 == 0} for i in range(rows)])
    return str(service.get("/model").json["version"])
