"""Models are registered whole, trusted only by their signature, promoted and rolled back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serialize.content import Content, read_content
from serialize.errors import ArtifactError, DumpError
from serialize.trust import Trust, signature
from service.errors import ModelConflict, UnknownModel
from service.registry.registry import Registry
from service.storage.models.store import INCOMING, REGISTERED, ModelStore
from tests.service.registry.conftest import KEY


def test_a_registered_model_is_read_back_byte_by_byte(registry: Registry, models: dict[str, Content]) -> None:
    stored = registry.register(models["titanic"], "me@here", "a note", 17)

    assert (stored.state, stored.registered_by, stored.note, stored.trained_until) == (
        REGISTERED, "me@here", "a note", 17,
    )  # fmt: skip
    assert registry.content(stored.version) == replace(models["titanic"], signature=stored.signature)
    assert stored.signature == signature(models["titanic"].encoded, KEY)
    assert registry.manifest(stored.version) == models["titanic"].manifest


def test_to_register_again_changes_nothing(registry: Registry, models: dict[str, Content]) -> None:
    first = registry.register(models["titanic"], "me@here")

    assert registry.register(models["titanic"], "another@there") == first
    assert len(registry.store.models()) == 1


def test_files_that_are_not_there_after_they_were_stored_twice_are_an_error(
    registry: Registry, models: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise ArtifactError("the files are gone")

    monkeypatch.setattr(Registry, "_stored_content", missing)

    with pytest.raises(ArtifactError, match="are gone"):
        registry.register(models["titanic"], "me@here")


def test_an_interrupted_registration_is_incoming_and_goes_on(
    registry: Registry, models: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_file = ModelStore.add_file

    def interrupted(store: ModelStore, version: str, name: str, content: bytes) -> None:
        if name != "pipeline.joblib":
            raise KeyboardInterrupt
        add_file(store, version, name, content)

    monkeypatch.setattr(ModelStore, "add_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        registry.register(models["titanic"], "me@here")
    version = models["titanic"].version
    assert registry.model(version).state == INCOMING
    with pytest.raises(ArtifactError, match="missing"):
        registry.content(version)
    with pytest.raises(ModelConflict, match="incoming"):
        registry.promote(version, "me@here")

    monkeypatch.setattr(ModelStore, "add_file", add_file)
    assert registry.register(models["titanic"], "me@here").state == REGISTERED


def test_an_unknown_model_is_named(registry: Registry) -> None:
    for use in (registry.model, registry.content, registry.retire, lambda version: registry.promote(version, "me")):
        with pytest.raises(UnknownModel, match="no model 000000000000"):
            use("0" * 12)


def test_a_model_is_pulled_as_an_artifact_with_its_signature(
    registry: Registry, models: dict[str, Content], tmp_path: Path
) -> None:
    version = registry.register(models["titanic"], "me@here").version

    registry.pull(version, tmp_path / "pulled")

    pulled = read_content(tmp_path / "pulled", Trust(keys=(KEY,), must_be_signed=True))
    assert (pulled.digest, pulled.files) == (models["titanic"].digest, models["titanic"].files)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(DumpError, match="other files"):
        registry.pull(version, tmp_path / "other")
    registry.retire(version)
    with pytest.raises(ModelConflict, match="is retired, so it has no files"):
        registry.pull(version, tmp_path / "pulled")
