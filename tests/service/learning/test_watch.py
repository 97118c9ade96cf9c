"""A champion that proves worse than the one before it is rolled back, at most once a day, and never a better one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serialize.content import Content, read_content
from service.errors import ModelConflict
from service.learning.gate.watch import WatchDecision
from service.learning.watch import act, look
from service.learning.watched import BY, Watched, watched
from service.prediction.scoring import Score
from service.registry.registry import Registry
from service.storage.learning.scores import ShadowScores
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.service.conftest import KEY
from tests.support.logged import logged, write

GOOD, BAD = 0.9, 0.4  # probabilities of the true class


@pytest.fixture
def registry(session: Session) -> Registry:
    return Registry(ModelStore(session), Promotions(session), (KEY,), 2**30, lambda _: {})


@pytest.fixture
def found(registry: Registry, artifacts: dict[str, Path], twin: Content) -> Watched:
    """The twin of the titanic model was promoted after it."""
    first = registry.register(read_content(artifacts["titanic"]), "me@here").version
    registry.promote(first, "me@here")
    registry.register(twin, "me@here")
    return promoted(registry, twin.version)


def promoted(registry: Registry, version: str) -> Watched:
    registry.promote(version, "me@here")
    one = watched(registry.promotions, now())
    assert one is not None
    return one


def now() -> datetime:
    return datetime.now(UTC)


def label(session: Session, found: Watched, rows: int, champion: float, previous: float, start: int = 0) -> None:
    """Rows that the champion answered and the previous one scored, labelled since the promotion. The arguments are the
    mean probabilities of the true class."""
    rng = np.random.default_rng(start)
    truth = rng.random(rows) < 0.5
    noise = rng.uniform(-0.1, 0.1, (2, rows))
    right = np.array([[champion], [previous]]) + noise
    probas = np.where(truth, right, 1 - right)
    made = [
        logged(
            start + i,
            proba=float(probas[0, i]),
            model_version=found.champion,
            true_class="true" if truth[i] else "false",
            labelled_at=found.since + timedelta(seconds=start + i),
        )
        for i in range(rows)
    ]
    session.run(lambda: write(session.database, *made))
    keys = Prediction.select(Prediction.observation_id, Prediction.id).tuples()
    ids: dict[Any, Any] = session.read(lambda: dict(keys.execute(session.database)))
    scores = [(ids[str(start + i)], Score(True, float(probas[1, i]))) for i in range(rows)]
    session.run(lambda: ShadowScores(session.database).add(found.previous, scores))


def test_the_looks_are_at_200_400_800_labels(registry: Registry, session: Session, found: Watched) -> None:
    label(session, found, 199, GOOD, BAD)
    assert look(registry, session, found) is None
    label(session, found, 250, GOOD, BAD, 199)

    second = look(registry, session, found)
    assert second is not None
    assert (second.look, second.losses.rows, second.is_worse) == (2, 400, False)
    assert second.losses.level == pytest.approx(0.05 / 6)
    assert look(registry, session, found, 2) is None
    assert act(registry, found, second, now())
    assert registry.promotions.champion() == found.champion


def test_a_worse_champion_is_rolled_back_with_the_figures(registry: Registry, session: Session, found: Watched) -> None:
    label(session, found, 200, BAD, GOOD)

    decision = look(registry, session, found)
    assert decision is not None
    assert decision.is_worse
    assert act(registry, found, decision, now())

    assert registry.promotions.champion() == found.previous
    (entry,) = registry.promotions.newest(1)
    assert (entry.promoted_by, entry.undoes, entry.reason) == (BY, found.promotion, decision.reason)
    assert entry.figures is not None
    assert '"rows": 200' in entry.figures
    assert watched(registry.promotions, now()) is None
    with pytest.raises(ModelConflict):
        act(registry, found, decision, now() + timedelta(days=2))  # another worker was first


def test_the_watch_rolls_back_once_a_day_at_most(registry: Registry, session: Session, found: Watched) -> None:
    label(session, found, 200, BAD, GOOD)
    decision = look(registry, session, found)
    assert decision is not None
    act(registry, found, decision, now())
    again = promoted(registry, found.champion)

    assert not act(registry, again, decision, now())
    assert registry.promotions.champion() == found.champion
    assert act(registry, again, decision, now() + timedelta(days=1, seconds=1))
    assert registry.promotions.champion() == found.previous


def test_another_promotion_that_came_between_is_not_undone(
    registry: Registry, session: Session, found: Watched, artifacts: dict[str, Path]
) -> None:
    label(session, found, 200, BAD, GOOD)
    decision = look(registry, session, found)
    assert isinstance(decision, WatchDecision)
    iris = registry.register(read_content(artifacts["iris"]), "me@here").version
    registry.promote(iris, "me@here")

    with pytest.raises(ModelConflict):
        act(registry, found, decision, now())
    assert registry.promotions.champion() == iris


def test_rows_labelled_before_the_promotion_do_not_count(registry: Registry, session: Session, found: Watched) -> None:
    label(session, found, 200, BAD, GOOD)
    moved = Prediction.update(labelled_at=found.since - timedelta(seconds=1)).where(Prediction.observation_id == "7")
    session.run(lambda: moved.execute(session.database))

    assert look(registry, session, found) is None


def test_a_model_of_another_task_is_not_compared(
    registry: Registry, session: Session, found: Watched, artifacts: dict[str, Path]
) -> None:
    iris = registry.register(read_content(artifacts["iris"]), "me@here").version
    other = promoted(registry, iris)
    label(session, other, 200, BAD, GOOD)

    assert look(registry, session, other) is None
