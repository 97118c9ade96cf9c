"""New rows are scored by the challenger, or after a promotion by the previous champion, and a round goes on where the
last one ended."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from serialize.content import Content
from service.errors import Unavailable
from service.learning import watch
from service.learning.gate.comparison import LossDifference
from service.learning.gate.watch import WatchDecision
from service.learning.shadow import Target, targets, work
from service.learning.watched import watched
from service.registry.registry import Registry
from service.storage.learning.tables import ShadowScore
from service.storage.models.tables import RegisteredModel
from service.storage.session import Session
from tests.conftest import Client
from tests.service.conftest import fill

State = dict[str, Any]


def judged(session: Session, version: str) -> None:
    """Gives a model a verdict."""
    update = RegisteredModel.update(verdict=json.dumps({"outcome": "not better"}))
    session.run(lambda: update.where(RegisteredModel.version == version).execute(session.database))


def chosen(models: Registry, session: Session) -> list[Target]:
    return targets(models, session, watched(models.promotions, datetime.now(UTC)))


def count(session: Session, version: str) -> int:
    query = ShadowScore.select().where(ShadowScore.version == version, ShadowScore.proba.is_null(False))
    return session.read(lambda: int(query.count(session.database)))


def work_once(models: Registry, session: Session, **state: Any) -> list[State]:
    told: list[State] = []
    before = {"looked": {}, "ends": {}, "failed": [], **state}
    work(models, session, before, lambda change: told.append(dict(change)), compiled=True)
    return told


def test_a_registered_model_is_scored_once_it_has_a_verdict(models: Registry, session: Session, twin: Content) -> None:
    row = models.register(twin, "me@here")
    assert chosen(models, session) == []

    judged(session, twin.version)

    assert chosen(models, session) == [Target(twin.version, row.registered_at)]
    models.retire(twin.version)
    assert chosen(models, session) == []


def test_after_a_promotion_the_previous_champion_scores(models: Registry, session: Session, twin: Content) -> None:
    champion = models.promotions.champion()
    models.register(twin, "me@here")
    judged(session, twin.version)
    models.promote(twin.version, "me@here")
    (entry,) = models.promotions.newest(1)

    assert chosen(models, session) == [Target(str(champion), entry.promoted_at)]
    models.rollback("me@here")
    assert chosen(models, session) == []  # the twin was promoted once, so it is no challenger


def test_a_round_scores_new_rows_only(service: Client, models: Registry, session: Session, twin: Content) -> None:
    fill(service, 30)
    models.register(twin, "me@here")
    judged(session, twin.version)
    assert work_once(models, session) == [{"scoring": twin.version}, {"ends": {twin.version: 0}}]

    assert fill(service, 50) != twin.version  # 20 of them are new
    *_, told = work_once(models, session)

    assert count(session, twin.version) == 20
    assert told["ends"][twin.version] >= 50
    *_, told = work_once(models, session, ends=told["ends"])
    assert count(session, twin.version) == 20
    assert work_once(models, session, failed=[twin.version]) == []


def test_rows_that_were_committed_late_are_scored_too(
    service: Client, models: Registry, session: Session, twin: Content
) -> None:
    models.register(twin, "me@here")
    judged(session, twin.version)
    fill(service, 20)

    work_once(models, session, ends={twin.version: 15})

    assert count(session, twin.version) == 20


def test_a_model_that_cannot_be_loaded_is_told(
    service: Client, models: Registry, session: Session, twin: Content, caplog: pytest.LogCaptureFixture
) -> None:
    models.register(twin, "me@here")
    judged(session, twin.version)
    models.store.replace_signature(twin.version, "0" * 64)
    fill(service, 1)

    assert work_once(models, session)[-1] == {"failed": twin.version}
    assert "shadow-failed" in caplog.text


def test_a_look_without_the_database_ends_the_round(
    service: Client, models: Registry, session: Session, twin: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("gone", reason="OperationalError")

    models.register(twin, "me@here")
    models.promote(twin.version, "me@here")
    monkeypatch.setattr(watch, "look", away)

    with pytest.raises(Unavailable):
        work_once(models, session)


def test_a_round_ends_with_a_look_which_may_roll_back(
    service: Client, models: Registry, session: Session, twin: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.register(twin, "me@here")
    models.promote(twin.version, "me@here")
    losses = LossDifference("brier_score", 200, 0.1, 0.2, 0.1, 0.05, 0.15, 0.025)
    monkeypatch.setattr(watch, "look", lambda *_: WatchDecision(True, "worse", 1, losses))
    (entry,) = models.promotions.newest(1)

    assert work_once(models, session)[-1] == {"looked": {str(entry.id): 1}}
    assert models.promotions.champion() == entry.from_version
    assert targets(models, session, None) == []
