"""Models that are not needed any more lose their files, but not those that a promotion or a rollback needs."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from serialize.content import Content
from service.errors import ModelConflict
from service.registry.registry import Registry
from service.storage.models.store import INCOMING, REFUSED, REGISTERED, RETIRED, ModelStore, now


def test_a_retired_model_keeps_its_manifest_and_can_be_registered_again(
    registry: Registry, models: dict[str, Content]
) -> None:
    version = registry.register(models["titanic"], "me@here").version
    registry.retire(version)

    assert registry.model(version).state == RETIRED
    assert registry.manifest(version) == models["titanic"].manifest
    assert registry.store.file(version, "pipeline.joblib") is None
    assert registry.register(models["titanic"], "me@here").state == REGISTERED
    assert registry.content(version).files == models["titanic"].files
    registry.promote(version, "me@here")


def test_the_oldest_models_beyond_the_number_are_retired(registry: Registry, models: dict[str, Content]) -> None:
    few = replace(registry, kept=2)
    a, b, c = (few.register(model, "me@here").version for model in models.values())

    assert {model.version: model.state for model in few.store.models()} == {
        a: RETIRED, b: REGISTERED, c: REGISTERED,
    }  # fmt: skip
    assert few.store.file(a, "pipeline.joblib") is None
    assert few.manifest(a) == models["titanic"].manifest
    with pytest.raises(ModelConflict, match=f"{a} is retired"):
        few.promote(a, "me@here")

    few.register(models["titanic"], "me@here")  # as a deployment of the old version does
    assert few.model(b).state == RETIRED
    few.promote(a, "me@here")


def test_the_newest_challenger_keeps_its_files(registry: Registry, models: dict[str, Content]) -> None:
    few = replace(registry, kept=1)
    a = few.register(models["titanic"], "me@here", verdict={"outcome": "not enough"}).version
    b, c = (few.register(models[name], "me@here").version for name in ("iris", "diabetes"))

    assert {model.version: model.state for model in few.store.models()} == {
        a: REGISTERED, b: RETIRED, c: REGISTERED,
    }  # fmt: skip


def test_the_champion_and_the_one_before_keep_their_files(registry: Registry, models: dict[str, Content]) -> None:
    few = replace(registry, kept=2)
    a, b = (few.register(models[name], "me@here").version for name in ("titanic", "iris"))
    few.promote(a, "me@here")
    few.promote(b, "me@here")

    c = few.register(models["diabetes"], "me@here").version  # one more than the number, until the next promotion
    assert {model.state for model in few.store.models()} == {REGISTERED}

    few.promote(c, "me@here")
    assert few.model(a).state == RETIRED
    assert few.rollback("me@here").champion == b
    assert few.content(b).files == models["iris"].files


def test_only_an_upload_that_was_interrupted_long_ago_is_removed(
    registry: Registry, models: dict[str, Content]
) -> None:
    old, new = "0" * 12, "1" * 12
    row = replace(registry.register(models["titanic"], "me@here"), state=INCOMING)
    registry.store.add(replace(row, version=old, registered_at=now() - timedelta(days=1, minutes=1)))
    registry.store.add(replace(row, version=new, registered_at=now() - timedelta(hours=23)))
    for version in (old, new):
        registry.store.add_file(version, "pipeline.joblib", b"the first part")

    registry.register(models["iris"], "me@here")

    assert (registry.model(old).state, registry.store.file(old, "pipeline.joblib")) == (RETIRED, None)
    assert (registry.model(new).state, registry.store.file(new, "pipeline.joblib")) == (INCOMING, b"the first part")


def test_a_model_that_is_retired_during_its_registration_is_not_registered(
    registry: Registry, models: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = ModelStore.complete

    def retired_before(store: ModelStore, version: str, url: str | None) -> bool:
        store.retire(version)
        return complete(store, version, url)

    monkeypatch.setattr(ModelStore, "complete", retired_before)

    with pytest.raises(ModelConflict, match="register it again"):
        registry.register(models["titanic"], "me@here")
    assert registry.model(models["titanic"].version).state == RETIRED


def test_a_model_that_is_retired_while_it_is_registered_is_named(
    registry: Registry, models: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, add_file = models["titanic"], ModelStore.add_file

    def retired_after(store: ModelStore, version: str, name: str, file: bytes) -> None:
        add_file(store, version, name, file)
        store.retire(version)

    monkeypatch.setattr(ModelStore, "add_file", retired_after)
    with pytest.raises(ModelConflict, match="was retired while it was registered"):
        registry.register(content, "me@here")
    assert registry.model(content.version).state == RETIRED


def test_a_challenger_keeps_its_verdict_and_its_files(registry: Registry, models: dict[str, Content]) -> None:
    verdict = {"outcome": "not better", "figures": {"rows": 300}}
    small = replace(registry, kept=2)
    small.register(models["titanic"], "me@here")
    small.promote(models["titanic"].version, "me@here")

    challenger = small.register(models["iris"], "me@here", verdict=verdict)
    small.register(models["diabetes"], "me@here")

    assert json.loads(str(challenger.verdict)) == verdict
    assert small.register(models["iris"], "me@here").state == REGISTERED
    assert json.loads(str(small.register(models["iris"], "me@here", verdict={"outcome": "better"}).verdict)) == {
        "outcome": "better"
    }


def test_a_refused_model_keeps_its_verdict_and_no_files(registry: Registry, models: dict[str, Content]) -> None:
    refused = registry.refuse(models["iris"], "me@here", {"outcome": "not better"}, "a note", 17)

    assert (refused.state, refused.note, refused.trained_until) == (REFUSED, "a note", 17)
    assert registry.store.number_of_parts(refused.version) == 0
    assert registry.manifest(refused.version) == models["iris"].manifest
    with pytest.raises(ModelConflict, match="is refused, so it cannot serve"):
        registry.promote(refused.version, "me@here")

    again = registry.register(models["iris"], "me@here")
    assert (again.state, again.verdict) == (REGISTERED, refused.verdict)
    assert registry.refuse(models["iris"], "me@here", {"outcome": "not enough"}).state == REGISTERED
    assert registry.store.number_of_parts(refused.version) > 0
