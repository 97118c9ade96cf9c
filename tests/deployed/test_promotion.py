"""gunicorn promotes over HTTP: it proves the model in a process of its own, and delays nobody meanwhile."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from serialize.content import Content, read_content
from service.registry.registry import Registry
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.support.passengers import ARTIFACTS, prediction
from tests.support.served import Served, serve
from tests.support.waiting import WAIT_SECONDS

pytestmark = pytest.mark.long

ADMIN, SIGNING = "another-key-of-many-characters", "k" * 32


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Served]:
    variables = {"ADMIN_KEY": ADMIN, "MODEL_SIGNING_KEY": SIGNING, "WEB_CONCURRENCY": "1"}
    with serve(tmp_path, database_url, variables=variables) as served:
        served.session.headers["X-API-Key"] = ADMIN
        yield served
    assert "event=error" not in served.log.read_text()


@pytest.fixture
def registry(served: Served, database_url: str) -> Iterator[Registry]:
    session = Session(connect(database_url))
    yield Registry(ModelStore(session), Promotions(session), (SIGNING,), 2**30, lambda _: {})
    session.close()


def renamed(content: Content) -> Content:
    """The same model under another version."""
    manifest = replace(content.manifest, name="second")
    encoded = manifest.to_bytes()
    return replace(content, manifest=manifest, encoded=encoded, digest=hashlib.sha256(encoded).hexdigest())


def promote(served: Served, version: str) -> Any:
    path = f"{served.url}/admin/models/{version}/promote"
    return requests.post(path, headers={"X-API-Key": ADMIN}, timeout=WAIT_SECONDS)


def test_the_worker_answers_others_while_it_proves_a_model(served: Served, registry: Registry) -> None:
    version = registry.register(renamed(read_content(ARTIFACTS)), "me@here").version
    before = registry.promotions.champion()
    served.post("/predict", prediction(0))
    seconds, sent = [], 0

    with ThreadPoolExecutor(1) as pool:
        promotion = pool.submit(promote, served, version)
        while not promotion.done():
            began = time.perf_counter()
            assert served.session.get(served.url + "/livez", timeout=WAIT_SECONDS).ok
            seconds.append(time.perf_counter() - began)
            assert served.session.get(served.url + "/models", timeout=WAIT_SECONDS).ok
            sent += 1
            assert served.post("/predict", prediction(sent)).ok

    assert (promotion.result().status_code, promotion.result().json()) == (200, {"champion": version, "before": before})
    assert sent > 5
    assert max(seconds) < 1  # the proof takes longer
    assert served.post("/admin/models/rollback", {}).json() == {"champion": before, "before": version}


def test_a_model_that_refuses_the_log_is_answered_with_its_columns(
    served: Served, registry: Registry, artifacts: dict[str, Path]
) -> None:
    version = registry.register(read_content(artifacts["iris"]), "me@here").version
    served.post("/predict", prediction(0))

    refused = promote(served, version)

    assert refused.status_code == 409
    assert "Age (1)" in refused.json()["detail"]
    assert registry.promotions.champion() != version
