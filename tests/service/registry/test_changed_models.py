"""A model that was changed in the database is not read: its signature, its digest or its manifest tells."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from serialize.content import Content
from serialize.errors import ArtifactError
from serialize.trust import signature
from service.errors import ModelConflict
from service.registry.registry import Registry
from service.storage.models.tables import RegisteredModel
from service.storage.session import Session
from tests.service.registry.changes import CHANGES, wrong_signature
from tests.service.registry.conftest import KEY, OTHER


def test_a_version_with_the_signed_manifest_of_another_model_is_refused(
    session: Session, registry: Registry, models: dict[str, Content]
) -> None:
    titanic, iris = (registry.register(models[name], "me@here") for name in ("titanic", "iris"))
    exchange = RegisteredModel.update(manifest=iris.manifest, signature=iris.signature)
    session.run(lambda: exchange.where(RegisteredModel.version == titanic.version).execute(session.database))
    registry.store.remove_files(titanic.version)
    for name, file in models["iris"].files.items():
        registry.store.add_file(titanic.version, name, file)

    for read in (registry.manifest, registry.content):
        with pytest.raises(ArtifactError, match="another model"):
            read(titanic.version)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_not_read_and_a_new_registration_mends_it(
    registry: Registry, models: dict[str, Content], change: Callable[[Registry, str], None]
) -> None:
    version = registry.register(models["titanic"], "me@here").version
    change(registry, version)

    with pytest.raises(ArtifactError):
        registry.content(version)

    registry.register(models["titanic"], "me@here")
    assert registry.content(version).files == models["titanic"].files


def test_only_the_manifest_of_the_digest_is_read_and_nothing_changes(
    registry: Registry, models: dict[str, Content]
) -> None:
    first = registry.register(models["titanic"], "me@here").version
    second = registry.register(models["iris"], "me@here").version
    registry.promote(first, "me@here")
    pinned = replace(registry, digest=models["titanic"].digest)

    assert pinned.content(first).digest == models["titanic"].digest
    with pytest.raises(ArtifactError, match="MODEL_DIGEST"):
        pinned.content(second)
    for change in (
        lambda: pinned.promote(second, "me@here"),
        lambda: pinned.rollback("me@here"),
        lambda: pinned.retire(second),
        pinned.resign,
        lambda: pinned.register(models["diabetes"], "me@here"),
    ):
        with pytest.raises(ModelConflict, match="MODEL_DIGEST"):
            change()


def test_a_new_key_signs_again_what_the_old_one_signed(registry: Registry, models: dict[str, Content]) -> None:
    version = registry.register(models["titanic"], "me@here").version
    both = replace(registry, keys=(OTHER, KEY))
    newer = both.register(models["iris"], "me@here").version

    assert both.content(version).digest == models["titanic"].digest
    assert both.resign() == [version]
    assert both.resign() == []
    alone = replace(registry, keys=(OTHER,))
    assert [alone.content(each).version for each in (version, newer)] == [version, newer]


def test_nothing_is_signed_again_if_one_signature_is_wrong(registry: Registry, models: dict[str, Content]) -> None:
    good, bad = (registry.register(models[name], "me@here").version for name in ("titanic", "iris"))
    wrong_signature(registry, bad)

    with pytest.raises(ArtifactError, match=bad):
        replace(registry, keys=("n" * 32, KEY)).resign()
    assert registry.model(good).signature == signature(models["titanic"].encoded, KEY)
