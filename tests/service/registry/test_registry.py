"""Models are registered whole, trusted only by their signature, promoted and rolled back."""

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from serialize.content import Content, push_content, read_content
from serialize.errors import ArtifactError, DumpError
from serialize.trust import Trust, signature
from service.errors import ModelConflict, UnknownModel
from service.registry.proof import prove
from service.registry.registry import Registry
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import INCOMING, REFUSED, REGISTERED, RETIRED, ModelStore, now
from service.storage.models.tables import RegisteredModel
from service.storage.session import Session
from tests.service.registry.conftest import KEY

OTHER = "o" * 32


@pytest.fixture(scope="module")
def models(artifacts: dict[str, Path]) -> dict[str, Content]:
    return {name: read_content(artifacts[name]) for name in ("titanic", "iris", "diabetes")}


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


def test_a_model_above_the_limit_is_refused(registry: Registry, models: dict[str, Content]) -> None:
    size = sum(map(len, models["titanic"].files.values()))

    with pytest.raises(ModelConflict, match=r"MODEL_MAX_BYTES .* register its URL"):
        replace(registry, max_bytes=size - 1).register(models["titanic"], "me@here")
    assert registry.store.models() == []
    replace(registry, max_bytes=size).register(models["titanic"], "me@here")


def test_files_that_are_not_there_after_they_were_stored_twice_are_an_error(
    registry: Registry, models: dict[str, Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise ArtifactError("the files are gone")

    monkeypatch.setattr(Registry, "_stored_content", missing)

    with pytest.raises(ArtifactError, match="are gone"):
        registry.register(models["titanic"], "me@here")


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


def poisoned_file(registry: Registry, version: str) -> None:
    registry.store.remove_files(version)
    registry.store.add_file(version, "pipeline.joblib", b"cos\nsystem\n(S'true'\ntR.")


def truncated_file(registry: Registry, version: str) -> None:
    content = registry.store.file(version, "pipeline.joblib")
    assert content
    registry.store.remove_files(version)
    registry.store.add_file(version, "pipeline.joblib", content[:-1])


def no_files(registry: Registry, version: str) -> None:
    registry.store.remove_files(version)


def wrong_signature(registry: Registry, version: str) -> None:
    registry.store.replace_signature(version, signature(registry.model(version).manifest, OTHER))


def empty_signature(registry: Registry, version: str) -> None:
    registry.store.replace_signature(version, "")


CHANGES: list[Callable[[Registry, str], None]] = [
    poisoned_file, truncated_file, no_files, wrong_signature, empty_signature,
]  # fmt: skip


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


def test_an_unknown_model_is_named(registry: Registry) -> None:
    for use in (registry.model, registry.content, registry.retire, lambda version: registry.promote(version, "me")):
        with pytest.raises(UnknownModel, match="no model 000000000000"):
            use("0" * 12)


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


def test_a_proof_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.registry.proof._SECONDS", 0.01)

    with pytest.raises(ArtifactError, match=r"took more than 0\.01 s"):
        prove("0" * 12)


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
