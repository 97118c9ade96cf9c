"""A model is proven in a process of its own, whatever it does to that process."""

import pickle
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from serialize.content import Content, read_content
from serialize.errors import ArtifactError
from service.registry.proof import prove
from service.registry.registry import Registry
from tests.service.registry.conftest import KEY

pytestmark = pytest.mark.long  # starts processes that load a model


class Doing:
    """Its pickle does something, and is then the pipeline of another pickle."""

    def __init__(self, done: str, pipeline: bytes) -> None:
        self.done, self.pipeline = done, pipeline

    def __reduce__(self) -> tuple[Any, tuple[str, dict[str, Any]]]:
        code = f"({self.done}, __import__('joblib').load(__import__('io').BytesIO(pipeline)))[1]"
        return eval, (code, {"pipeline": self.pipeline})


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)


def doing(done: str, content: Content) -> Content:
    """The artifact with a pipeline that does this while it is loaded."""
    pipeline = pickle.dumps(Doing(done, content.files["pipeline.joblib"]))
    listed = {**content.manifest.files, "pipeline.joblib": sha256(pipeline).hexdigest()}
    manifest = replace(content.manifest, files=listed)
    encoded = manifest.to_bytes()
    files = {**content.files, "pipeline.joblib": pipeline}
    return Content(manifest, encoded, files, sha256(encoded).hexdigest(), None)


@pytest.mark.parametrize("done", ["print('loading')", r"__import__('os').write(1, b'\xff')"])
def test_a_model_that_prints_is_proven(registry: Registry, artifacts: dict[str, Path], done: str) -> None:
    version = registry.register(doing(done, read_content(artifacts["iris"])), "me@here").version

    assert prove(version) == {}


def test_a_model_that_ends_its_process_is_refused(registry: Registry, artifacts: dict[str, Path]) -> None:
    ends = doing("__import__('os')._exit(0)", read_content(artifacts["iris"]))
    version = registry.register(ends, "me@here").version

    with pytest.raises(ArtifactError, match=f"Model {version} cannot be proven: it ended the process"):
        prove(version)
