"""A model above the limit stays at its URL, and the registry keeps its manifest."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from serialize.content import Content, push_content, read_content
from serialize.errors import ArtifactError
from service.errors import ModelConflict
from service.registry.registry import Registry
from service.storage.models.store import REGISTERED, RETIRED
from tests.service.registry.changes import wrong_signature


def test_a_model_above_the_limit_is_refused(registry: Registry, models: dict[str, Content]) -> None:
    size = sum(map(len, models["titanic"].files.values()))

    with pytest.raises(ModelConflict, match=r"MODEL_MAX_BYTES .* register its URL"):
        replace(registry, max_bytes=size - 1).register(models["titanic"], "me@here")
    assert registry.store.models() == []
    replace(registry, max_bytes=size).register(models["titanic"], "me@here")


def test_a_model_at_a_url_may_be_ten_times_as_large(registry: Registry) -> None:
    assert registry.most_bytes == 10 * registry.max_bytes


def large_at_url(registry: Registry, content: Content, folder: Path) -> tuple[Registry, str]:
    """A registry for which the model is too large, and the model's URL."""
    push_content(content, f"file://{folder}/pushed")
    return replace(registry, max_bytes=sum(map(len, content.files.values())) - 1), f"file://{folder}/pushed"


@pytest.mark.long  # reads a URL in processes of their own
def test_the_files_of_a_large_model_stay_at_its_url(
    registry: Registry, models: dict[str, Content], tmp_path: Path, cache_folder: Path
) -> None:
    small, url = large_at_url(registry, models["titanic"], tmp_path)

    stored = small.register(models["titanic"], "me@here", url=url)

    assert (stored.url, stored.state) == (url, REGISTERED)
    assert small.store.file(stored.version, "pipeline.joblib") is None
    assert small.content(stored.version) == replace(models["titanic"], signature=stored.signature)
    assert cache_folder.is_dir()
    small.promote(stored.version, "me@here")
    small.pull(stored.version, tmp_path / "pulled")
    assert read_content(tmp_path / "pulled").files == models["titanic"].files
    assert replace(small, max_bytes=10**9).register(models["titanic"], "me@here", url=url).url is None
    assert registry.store.file(stored.version, "pipeline.joblib") == models["titanic"].files["pipeline.joblib"]


def test_a_model_that_fits_is_stored_although_it_has_a_url(registry: Registry, models: dict[str, Content]) -> None:
    stored = registry.register(models["titanic"], "me@here", url="s3://bucket/folder")

    assert stored.url is None
    assert registry.content(stored.version).files == models["titanic"].files


@pytest.mark.long  # reads a URL in processes of their own
def test_a_changed_or_lost_file_at_the_url_of_a_model_is_refused(
    registry: Registry, models: dict[str, Content], tmp_path: Path, cache_folder: Path
) -> None:
    small, url = large_at_url(registry, models["titanic"], tmp_path)
    version = small.register(models["titanic"], "me@here", url=url).version
    pipeline = tmp_path / "pushed" / "pipeline.joblib"
    (tmp_path / "pushed" / "manifest.json").write_text("not read: the one of the registry counts")
    assert small.content(version).files

    shutil.rmtree(cache_folder)
    pipeline.write_bytes(pipeline.read_bytes()[:-1] + b"!")
    with pytest.raises(ArtifactError, match="is not the file that its manifest lists"):
        small.content(version)
    pipeline.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        small.content(version)
    wrong_signature(small, version)
    with pytest.raises(ArtifactError, match="is not the signature"):
        small.content(version)


@pytest.mark.long  # reads a URL in a process of its own
def test_no_more_than_ten_times_the_limit_is_read_from_the_url_of_a_model(
    registry: Registry, models: dict[str, Content], tmp_path: Path, cache_folder: Path
) -> None:
    small, url = large_at_url(registry, models["titanic"], tmp_path)
    version = small.register(models["titanic"], "me@here", url=url).version

    with pytest.raises(ArtifactError, match="more bytes than MODEL_MAX_BYTES"):
        replace(small, max_bytes=small.max_bytes // 11).content(version)


def test_a_large_model_is_retired_and_registered_again(registry: Registry, models: dict[str, Content]) -> None:
    small = replace(registry, max_bytes=1, kept=2)
    a, b, c = (small.register(model, "me@here", url=f"s3://models/{name}").version for name, model in models.items())

    assert [small.model(version).state for version in (a, b, c)] == [RETIRED, REGISTERED, REGISTERED]
    again = small.register(models["titanic"], "me@here", url="s3://elsewhere/titanic")
    assert (again.state, again.url) == (REGISTERED, "s3://elsewhere/titanic")
