"""The champion changes whole or not at all, and a release step promotes only what is new."""

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from service.errors import ModelConflict
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import INCOMING, REGISTERED, RETIRED, ModelStore, StoredModel
from service.storage.session import Session
from tests.support.waiting import until

A, B, C, D = "a" * 12, "b" * 12, "c" * 12, "d" * 12


def stored(version: str, state: str = REGISTERED) -> StoredModel:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredModel(version, "titanic", 3, b"{}", "0" * 64, state, moment, "user@host", None, None)


@pytest.fixture
def store(session: Session) -> ModelStore:
    store = ModelStore(session)
    for version in (A, B, C):
        store.add(stored(version))
    return store


@pytest.fixture
def promotions(session: Session, store: ModelStore) -> Promotions:
    return Promotions(session)


def test_the_first_promotion_makes_a_champion_and_an_entry(promotions: Promotions) -> None:
    assert promotions.champion() is None
    assert promotions.promote(A, None, "me@here", "the first", {"accuracy": 0.8})

    (entry,) = promotions.history()
    assert promotions.champion() == A
    assert (entry.from_version, entry.to_version, entry.promoted_by) == (None, A, "me@here")
    assert (entry.reason, entry.figures, entry.undoes) == ("the first", '{"accuracy": 0.8}', None)


@pytest.mark.parametrize("expected", [None, B, C])
def test_a_promotion_that_expects_another_champion_changes_nothing(promotions: Promotions, expected: str) -> None:
    promotions.promote(A, None, "me@here")

    assert not promotions.promote(B, expected, "me@here")
    assert promotions.champion() == A
    assert len(promotions.history()) == 1


@pytest.mark.parametrize("state", [INCOMING, RETIRED, "refused"])
def test_only_a_registered_model_is_promoted(promotions: Promotions, store: ModelStore, state: str) -> None:
    store.add(stored(D, state))

    assert not promotions.promote(D, None, "me@here")
    assert not promotions.promote("0" * 12, None, "me@here")
    assert promotions.champion() is None
    assert promotions.history() == []


def test_the_champion_is_not_retired(promotions: Promotions, store: ModelStore) -> None:
    promotions.promote(A, None, "me@here")

    assert not store.retire(A)
    assert store.retire(B)
    assert {model.version: model.state for model in store.models()} == {A: REGISTERED, B: RETIRED, C: REGISTERED}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_model_is_not_retired_while_a_promotion_of_it_is_under_way(
    promotions: Promotions, store: ModelStore, postgresql_server: str, database_url: str
) -> None:
    promotions.promote(A, None, "me@here")
    store.add_file(B, "pipeline.joblib", b"content")
    session, outcomes = Session(connect(database_url)), []
    retire = threading.Thread(target=lambda: outcomes.append(ModelStore(session).retire(B)))

    with psycopg.connect(database_url) as other, psycopg.connect(postgresql_server, autocommit=True) as watcher:
        other.execute("SELECT state FROM model WHERE version = %s FOR UPDATE", (B,))
        other.execute("UPDATE champion SET version = %s", (B,))
        retire.start()
        until(lambda: watcher.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount > 0)
    retire.join()
    session.close()

    assert outcomes == [False]
    assert store.model(B) == stored(B)
    assert store.file(B, "pipeline.joblib") == b"content"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_release_promotes_its_model_after_a_promotion_that_is_under_way(
    promotions: Promotions, postgresql_server: str, database_url: str
) -> None:
    promotions.release(A, "one", "me@here")
    session, outcomes = Session(connect(database_url)), []
    release = threading.Thread(target=lambda: outcomes.append(Promotions(session).release(C, "one", "me@here")))

    with psycopg.connect(database_url) as other, psycopg.connect(postgresql_server, autocommit=True) as watcher:
        other.execute("UPDATE champion SET version = %s", (B,))
        release.start()
        until(lambda: watcher.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount > 0)
    release.join()
    session.close()

    assert outcomes == [True]
    assert promotions.champion() == C
    assert promotions.history()[-1].from_version == B


def test_of_simultaneous_promotions_one_happens(promotions: Promotions, database_url: str) -> None:
    promotions.promote(A, None, "me@here")
    barrier, outcomes = threading.Barrier(8), []

    def promote(version: str) -> None:
        session = Session(connect(database_url))
        barrier.wait()
        outcomes.append(Promotions(session).promote(version, A, "me@here"))
        session.close()

    threads = [threading.Thread(target=promote, args=((B, C)[i % 2],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [False] * 7 + [True]
    assert promotions.champion() == promotions.history()[-1].to_version
    assert len(promotions.history()) == 2


def test_a_release_promotes_the_first_model_and_then_what_is_new(promotions: Promotions) -> None:
    assert promotions.release(A, "one", "me@here")
    assert not promotions.release(A, "one", "me@here")  # a restart
    assert not promotions.release(A, "two", "me@here")  # another machine of the same deployment
    assert promotions.release(B, "one", "me@here")
    assert promotions.champion() == B


def test_a_restart_keeps_a_champion_that_no_release_brought(promotions: Promotions) -> None:
    promotions.release(A, "one", "me@here")
    promotions.promote(C, A, "retraining")

    assert not promotions.release(A, "one", "me@here")
    assert not promotions.release(A, "three", "me@here")  # a rollback of the platform with the same model
    assert promotions.champion() == C


def test_an_old_machine_that_restarts_in_a_rolling_deploy_does_not_bring_back_its_model(promotions: Promotions) -> None:
    promotions.release(A, "one", "me@here")
    promotions.release(A, "two", "me@here")
    promotions.release(B, "one", "me@here")

    assert not promotions.release(A, "two", "me@here")
    assert not promotions.release(B, "two", "me@here")
    assert promotions.champion() == B


def test_an_old_version_that_is_deployed_again_is_promoted_again(promotions: Promotions) -> None:
    promotions.release(A, "one", "me@here")
    promotions.release(B, "one", "me@here")

    assert promotions.release(A, "one", "me@here")
    assert promotions.champion() == A
    assert promotions.release(B, "a new machine", "me@here")


def test_a_release_of_what_already_serves_adds_no_entry(promotions: Promotions) -> None:
    promotions.release(A, "one", "me@here")
    promotions.promote(B, A, "me@here")

    assert not promotions.release(B, "one", "me@here")
    assert len(promotions.history()) == 2
    assert not promotions.release(B, "two", "me@here")


def test_a_release_of_a_model_that_was_retired_meanwhile_is_refused_and_can_be_repeated(
    promotions: Promotions, store: ModelStore
) -> None:
    promotions.release(A, "one", "me@here")
    store.retire(B)

    with pytest.raises(ModelConflict, match="retired meanwhile"):
        promotions.release(B, "one", "me@here")
    store.add(stored(B))
    assert promotions.release(B, "one", "me@here")


def test_simultaneous_release_steps_of_one_deployment_promote_once(promotions: Promotions, database_url: str) -> None:
    promotions.release(A, "old", "me@here")
    barrier, outcomes = threading.Barrier(6), []

    def release(machine: str) -> None:
        session = Session(connect(database_url))
        barrier.wait()
        outcomes.append(Promotions(session).release(B, machine, "me@here"))
        session.close()

    threads = [threading.Thread(target=release, args=(f"machine {i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [False] * 5 + [True]
    assert [entry.to_version for entry in promotions.history()] == [A, B]
