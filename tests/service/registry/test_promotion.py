"""A model becomes the champion after a proof; a rollback goes back to the one before."""

import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from serialize.content import Content
from serialize.errors import ArtifactError
from service.errors import ModelConflict
from service.registry.proof import prove
from service.registry.registry import Registry
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import REGISTERED, ModelStore
from service.storage.session import Session


def test_each_rollback_goes_back_one_further(registry: Registry, models: dict[str, Content]) -> None:
    a, b, c = (registry.register(model, "me@here").version for model in models.values())
    for version in (a, b, c):
        registry.promote(version, "me@here")

    assert registry.rollback("me@here") == (b, c)
    assert registry.rollback("me@here") == (a, b)
    with pytest.raises(ModelConflict, match="no earlier champion"):
        registry.rollback("me@here")
    registry.promote(c, "me@here")
    assert registry.rollback("me@here", "worse") == (a, c)

    assert [entry.to_version for entry in registry.promotions.history()] == [a, b, c, b, a, c, a]
    assert registry.promotions.history()[-1].reason == "worse"


@pytest.mark.parametrize("read", ["champion", "history"])
def test_a_rollback_during_another_change_is_refused(
    registry: Registry, models: dict[str, Content], monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    for model in models.values():
        registry.promote(registry.register(model, "me@here").version, "me@here")
    before = getattr(Promotions, read)

    def changed_after(promotions: Promotions) -> Any:
        found = before(promotions)
        monkeypatch.undo()
        registry.rollback("another@there")
        return found

    monkeypatch.setattr(Promotions, read, changed_after)
    with pytest.raises(ModelConflict, match="Another promotion came first"):
        registry.rollback("me@here")

    assert len(registry.promotions.history()) == 4


def test_a_rollback_to_a_retired_model_is_refused(registry: Registry, models: dict[str, Content]) -> None:
    a, b, _ = (registry.register(model, "me@here").version for model in models.values())
    registry.promote(a, "me@here")
    registry.promote(b, "me@here")
    registry.retire(a)

    with pytest.raises(ModelConflict, match=f"{a}, the one before, is retired"):
        registry.rollback("me@here")


def test_the_champion_is_not_promoted_again_and_not_retired(registry: Registry, models: dict[str, Content]) -> None:
    version = registry.register(models["titanic"], "me@here").version
    registry.promote(version, "me@here")

    with pytest.raises(ModelConflict, match="is the champion already"):
        registry.promote(version, "me@here")
    with pytest.raises(ModelConflict, match="promote another one"):
        registry.retire(version)
    assert registry.content(version).files


def test_of_promotions_and_registrations_at_once_no_champion_lacks_its_files(
    registry: Registry, models: dict[str, Content], database_url: str
) -> None:
    contents = list(models.values())
    registry.promote(registry.register(contents[0], "me@here").version, "me@here")
    wrong: list[str] = []

    def change(number: int) -> None:
        session = Session(connect(database_url))
        few = replace(registry, store=ModelStore(session), promotions=Promotions(session), kept=2)
        for step in range(6):
            content = contents[(number + step) % 3]
            with suppress(ModelConflict):
                few.register(content, "me@here")
                few.promote(content.version, "me@here")
            champion = few.promotions.champion()
            if champion and few.model(champion).state != REGISTERED:
                wrong.append(champion)
        session.close()

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    champion = registry.promotions.champion()
    assert champion
    assert registry.content(champion).files


def test_a_model_that_cannot_be_proven_is_not_promoted(registry: Registry, models: dict[str, Content]) -> None:
    def prove(version: str) -> dict[str, int]:
        raise ArtifactError(f"Model {version} cannot be proven: no memory")

    version = registry.register(models["titanic"], "me@here").version

    with pytest.raises(ModelConflict, match="no memory"):
        replace(registry, prove=prove).promote(version, "me@here", force=True)
    assert registry.promotions.champion() is None


def test_a_rollback_to_a_model_that_cannot_be_proven_is_refused(registry: Registry, models: dict[str, Content]) -> None:
    def prove(version: str) -> dict[str, int]:
        raise ArtifactError(f"Model {version} cannot be proven: no memory")

    a, b, _ = (registry.register(model, "me@here").version for model in models.values())
    registry.promote(a, "me@here")
    registry.promote(b, "me@here")

    with pytest.raises(ModelConflict, match=f"{a} cannot be proven"):
        replace(registry, prove=prove).rollback("me@here")
    assert registry.promotions.champion() == b
    assert replace(registry, prove=lambda _: {"Age": 3}).rollback("me@here") == (a, b)


def test_a_model_that_refuses_logged_observations_is_promoted_only_by_force(
    registry: Registry, models: dict[str, Content]
) -> None:
    version = registry.register(models["titanic"], "me@here").version
    narrow = replace(registry, prove=lambda _: {"Fare": 3, "Age": 17})

    with pytest.raises(ModelConflict, match=r"Age \(17\), Fare \(3\)"):
        narrow.promote(version, "me@here")
    assert registry.promotions.champion() is None
    narrow.promote(version, "me@here", force=True)
    assert registry.promotions.champion() == version


def test_a_proof_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.registry.proof._SECONDS", 0.01)

    with pytest.raises(ArtifactError, match=r"took more than 0\.01 s"):
        prove("0" * 12)


def test_a_promotion_that_expects_another_champion_changes_nothing(
    registry: Registry, models: dict[str, Content]
) -> None:
    for content in models.values():
        registry.register(content, "me@here")
    registry.promote(models["titanic"].version, "me@here")

    with pytest.raises(ModelConflict, match="so it is not promoted"):
        registry.promote(models["iris"].version, "me@here", expected=models["diabetes"].version)
    assert registry.promotions.champion() == models["titanic"].version
    registry.promote(models["iris"].version, "me@here", expected=models["titanic"].version)
