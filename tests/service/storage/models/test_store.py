"""Models are stored in parts, come back as the same bytes, and outlive an interrupted upload."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.storage.models import store as model_store
from service.storage.models.store import INCOMING, REGISTERED, RETIRED, ModelStore
from service.storage.models.tables import ModelFile
from service.storage.session import Session
from tests.service.storage.models.test_promotions import A, B, stored


@pytest.fixture
def store(session: Session) -> ModelStore:
    return ModelStore(session)


def test_a_model_is_read_back_as_it_was_added(store: ModelStore) -> None:
    store.add(stored(A, INCOMING))

    assert store.model(A) == stored(A, INCOMING)
    assert store.model(B) is None
    assert store.models() == [stored(A, INCOMING)]


def test_a_known_model_keeps_its_row(store: ModelStore) -> None:
    store.add(stored(A))
    store.add(stored(A, INCOMING))

    assert store.model(A) == stored(A, REGISTERED)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 160])
def test_a_file_is_read_back_whatever_its_size(store: ModelStore, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(model_store, "PART_BYTES", 16)
    content = random.Random(0).randbytes(size)
    store.add(stored(A))

    store.add_file(A, "pipeline.joblib", content)
    store.add_file(A, "other", b"other")

    assert store.file(A, "pipeline.joblib") == content
    assert store.file(A, "missing") is None
    assert store.file(B, "pipeline.joblib") is None


def test_a_part_has_four_mebibytes(store: ModelStore, session: Session) -> None:
    store.add(stored(A))
    content = bytes(4 * 1024 * 1024 + 1)

    store.add_file(A, "pipeline.joblib", content)

    parts = session.read(lambda: [len(one.bytes) for one in ModelFile.select().execute(session.database)])
    assert sorted(parts) == [1, 4 * 1024 * 1024]


def test_each_part_is_committed_and_an_interrupted_upload_goes_on(
    store: ModelStore, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_store, "PART_BYTES", 16)
    content = random.Random(0).randbytes(100)
    store.add(stored(A))
    run, done = session.run, list[object]()

    def interrupted(work: object) -> object:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(work)
        return run(work)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.add_file(A, "pipeline.joblib", content)
    assert store.file(A, "pipeline.joblib") == content[:48]

    monkeypatch.setattr(session, "run", run)
    store.add_file(A, "pipeline.joblib", content)
    assert store.file(A, "pipeline.joblib") == content


def test_without_its_files_a_model_keeps_its_manifest(store: ModelStore) -> None:
    store.add(stored(A))
    store.add_file(A, "pipeline.joblib", b"content")

    store.remove_files(A)

    assert store.file(A, "pipeline.joblib") is None
    assert store.model(A) == stored(A)


def test_a_retired_model_has_no_files_and_is_not_completed(store: ModelStore) -> None:
    store.add(stored(A))
    store.add_file(A, "pipeline.joblib", b"content")

    assert store.retire(A)

    assert store.file(A, "pipeline.joblib") is None
    assert not store.complete(A)
    assert store.model(A) == stored(A, RETIRED)


def test_an_incoming_model_that_is_added_again_is_as_new_as_the_repetition(store: ModelStore) -> None:
    later = replace(stored(A, INCOMING), registered_at=datetime(2026, 2, 1, tzinfo=UTC), registered_by="me@here")
    store.add(stored(A, INCOMING))
    store.add(later)

    assert store.model(A) == later
    assert store.complete(A)
    store.add(stored(A, INCOMING))
    assert store.model(A) == replace(later, state=REGISTERED)


def test_a_signature_is_replaced(store: ModelStore) -> None:
    store.add(stored(A))

    store.replace_signature(A, "1" * 64)

    found = store.model(A)
    assert found is not None
    assert found.signature == "1" * 64
