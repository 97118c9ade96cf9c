"""The workers of a running service take a new champion, and survive one that cannot be loaded."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
import requests

from serialize.content import Content, read_content
from service.registry.registry import Registry
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.support.passengers import ARTIFACTS
from tests.support.served import Served, serve
from tests.support.waiting import until

pytestmark = pytest.mark.long

KEY = "k" * 32
VARIABLES = {"MODEL_SIGNING_KEY": KEY}


@contextmanager
def opened(database_url: str) -> Iterator[Registry]:
    database = connect(database_url)
    prepare(database)
    session = Session(database)
    yield Registry(ModelStore(session), Promotions(session), (KEY,), 2**28, lambda _: {})
    session.close()


def promote(database_url: str, content: Content) -> str:
    with opened(database_url) as registry:
        registry.register(content, "me@here")
        registry.promote(content.version, "me@here")
    return content.version


def versions(served: Served) -> set[str]:
    """The versions that new connections get, from all workers."""
    return {requests.get(served.url + "/livez", timeout=10).headers["X-Model-Version"] for _ in range(20)}


def test_a_promotion_is_served_and_logged_by_all_workers(
    tmp_path: Path, database_url: str, artifacts: dict[str, Path]
) -> None:
    with serve(tmp_path, database_url, variables=VARIABLES) as served:
        version = promote(database_url, read_content(artifacts["iris"]))
        until(lambda: served.log.read_text().count(f"event=swap version={version}") == 2)
        assert versions(served) == {version}
        card = requests.get(served.url + "/model", timeout=10).json()
        assert requests.get(served.url + "/readyz", timeout=10).ok

    assert (card["version"], card["serving"], card["wanted"], card["why"]) == (version, version, version, None)
    assert served.log.read_text().count(f"event=swap version={version}") == 2


def test_a_new_worker_has_the_champion_before_it_accepts(
    tmp_path: Path, database_url: str, artifacts: dict[str, Path]
) -> None:
    variables = {**VARIABLES, "WEB_CONCURRENCY": "1"}
    with serve(tmp_path, database_url, variables=variables) as served:
        version = promote(database_url, read_content(artifacts["iris"]))
        until(lambda: versions(served) == {version})
        (worker,) = served.workers()
        worker.kill()
        worker.wait()

        assert versions(served) == {version}


def test_hup_brings_the_model_of_artifacts(tmp_path: Path, database_url: str, artifacts: dict[str, Path]) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(ARTIFACTS, folder)
    with serve(tmp_path, database_url, artifacts=folder, variables=VARIABLES) as served:
        before = versions(served)
        shutil.rmtree(folder)
        shutil.copytree(artifacts["iris"], folder)
        served.process.send_signal(signal.SIGHUP)
        version = read_content(folder).version
        until(lambda: versions(served) == {version})

    assert before == {read_content(ARTIFACTS).version}
    with opened(database_url) as registry:
        assert registry.promotions.champion() == version


def test_the_release_step_of_a_hup_does_not_keep_the_port(tmp_path: Path, database_url: str) -> None:
    found: list[psutil.Process] = []

    def is_started() -> bool:
        found[:] = [child for child in psutil.Process(served.process.pid).children() if _is_release(child)]
        return bool(found)

    with serve(tmp_path, database_url, variables=VARIABLES) as served:
        served.process.send_signal(signal.SIGHUP)
        until(is_started)
        (step,) = found
        step.suspend()  # until the look it must not end

        assert not [one for one in step.net_connections() if one.status == psutil.CONN_LISTEN]
        step.resume()


def _is_release(process: psutil.Process) -> bool:
    try:
        return "release" in process.cmdline()
    except psutil.NoSuchProcess:  # an old worker has ended meanwhile
        return False


def test_a_model_that_kills_its_worker_is_not_tried_by_the_next(tmp_path: Path, database_url: str) -> None:
    content = read_content(ARTIFACTS)
    with serve(tmp_path, database_url, variables=VARIABLES) as served:
        deadly = _with_pipeline(content, b"cos\nabort\n(tR.")
        with opened(database_url) as registry:
            registry.register(deadly, "me@here")
            registry.promotions.promote(deadly.version, content.version, "me@here")
        until(lambda: served.log.read_text().count("event=champion-unusable") >= 2)
        cards = [requests.get(served.url + "/model", timeout=10).json() for _ in range(20)]
        metrics = requests.get(served.url + "/metrics", timeout=10).text

    assert {(card["serving"], card["wanted"]) for card in cards} == {(content.version, deadly.version)}
    assert all("died" in card["why"] for card in cards)
    assert "\nprediction_service_workers_without_champion 2.0" in metrics


def test_a_model_that_ends_its_process_ends_no_worker(tmp_path: Path, database_url: str) -> None:
    content = read_content(ARTIFACTS)
    with serve(tmp_path, database_url, variables=VARIABLES) as served:
        until(lambda: len(served.workers()) == 2)
        workers = set(served.workers())
        ending = _with_pipeline(content, b"csys\nexit\n(tR.")
        with opened(database_url) as registry:
            registry.register(ending, "me@here")
            registry.promotions.promote(ending.version, content.version, "me@here")
        until(lambda: served.log.read_text().count("event=champion-unusable") == 2)

        assert set(served.workers()) == workers
        assert versions(served) == {content.version}


def _with_pipeline(content: Content, pipeline: bytes) -> Content:
    """The artifact with another pipeline and a manifest that fits."""
    files = {**content.files, "pipeline.joblib": pipeline}
    listed = {**content.manifest.files, "pipeline.joblib": sha256(pipeline).hexdigest()}
    manifest = replace(content.manifest, files=listed)
    encoded = manifest.to_bytes()
    return Content(manifest, encoded, files, sha256(encoded).hexdigest(), None)
