"""A replayed model scores the log as the service would have, once, however often it is interrupted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serialize.artifact import Artifact, load
from serialize.content import Content, read_content
from serialize.task import Task
from service.learning.replay import THE_MODEL, Replay, replay_of
from service.registry.registry import Registry
from service.storage.learning import scores as scores_module
from service.storage.learning.pairs import Answering, LabelledRows, PairReader, Pairs
from service.storage.learning.tables import ShadowScore
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.conftest import Client
from tests.service.conftest import fill
from tests.support.by_column import of_columns
from tests.support.passengers import all_passengers

ROWS = 60


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores_module, "ROWS_AT_ONCE", 25)


@pytest.fixture
def replay(session: Session, models: Registry, twin: Content) -> Replay:
    """Of the twin of the titanic model, which is registered."""
    models.register(twin, "me@here")
    return replay_of(session, models, twin.version, compiled=True)


def pairs(session: Session, first: str, second: str, task: Task) -> Pairs:
    reader = PairReader(session.database, Answering(first, task), Answering(second, task))
    return session.watch(lambda: Pairs.joined(list(reader.blocks(LabelledRows()))))


def stored(session: Session) -> list[tuple[Any, ...]]:
    columns = (ShadowScore.prediction, ShadowScore.proba, ShadowScore.predicted_class)
    query = ShadowScore.select(*columns).order_by(ShadowScore.prediction).tuples()
    return session.watch(lambda: list(query.execute(session.database)))


@pytest.mark.parametrize("compiled", [True, False])
def test_the_scores_are_those_that_the_service_gives(
    service: Client, session: Session, models: Registry, twin: Content, compiled: bool
) -> None:
    champion = fill(service, ROWS)
    models.register(twin, "me@here")
    shares: list[float] = []

    done = replay_of(session, models, twin.version, compiled=compiled).run(progress=shares.append)

    found = pairs(session, champion, twin.version, twin.manifest.task)
    assert (done.scored, done.refused, len(found)) == (ROWS, 0, ROWS)
    np.testing.assert_allclose(found.second, found.first, atol=0 if compiled else 1e-9)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (3, 1.0)
    predicted = Prediction.select(Prediction.id, Prediction.proba, Prediction.predicted_class).order_by(Prediction.id)
    answered = session.watch(lambda: list(predicted.tuples().execute(session.database)))
    assert [row[2] for row in stored(session)] == [row[2] for row in answered]


class Interrupted(Exception):
    """The user pressed Ctrl-C."""


def test_what_was_interrupted_goes_on_and_gives_the_same(service: Client, session: Session, replay: Replay) -> None:
    fill(service, ROWS)

    def interrupt(_: float) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        replay.run(progress=interrupt)
    assert len(stored(session)) == 25
    first = stored(session)
    assert replay.run().scored == 35
    assert replay.run().scored == 0

    assert stored(session)[:25] == first
    assert len(stored(session)) == ROWS


def test_only_rows_from_a_time_on_are_scored(service: Client, session: Session, replay: Replay) -> None:
    fill(service, ROWS)

    assert replay.run(datetime.now(UTC) + timedelta(days=1)).scored == 0
    assert replay.run(datetime.now(UTC) - timedelta(days=1), after=40).end >= ROWS
    assert len(stored(session)) <= ROWS - 40 + 1


def test_an_empty_log_is_scored_at_once(replay: Replay) -> None:
    assert replay.run().scored == 0


def test_rows_that_the_signature_refuses_are_counted_by_column_and_not_tried_again(
    service: Client, session: Session, models: Registry, artifacts: dict[str, Path]
) -> None:
    fill(service, ROWS)
    iris = models.register(read_content(artifacts["iris"]), "me@here").version
    running = replay_of(session, models, iris, compiled=True)

    done = running.run()

    assert (done.scored, done.refused, done.columns["sepal length (cm)"], done.columns["Sex"]) == (0, ROWS, ROWS, ROWS)
    assert (running.run().refused, session.watch(running.refused)) == (0, ROWS)


def test_rows_that_the_model_itself_cannot_score_are_refused_alone(
    service: Client, session: Session, models: Registry, twin: Content, artifacts: dict[str, Path]
) -> None:
    fill(service, 3)
    models.register(twin, "me@here")
    artifact = load(artifacts["titanic"])
    fails: Any = Fails(artifact)
    replay = Replay(session, replace(artifact, model=fails, digest=twin.digest), compiled=False)

    done = replay.run()

    assert (done.scored, done.refused, done.columns) == (2, 1, {THE_MODEL: 1})


class Fails:
    """A model that cannot score the second passenger."""

    def __init__(self, artifact: Artifact) -> None:
        self.class_indices = artifact.model.class_indices
        self.outputs_by_column = of_columns(self.outputs)
        self._outputs = artifact.model.outputs

    def outputs(self, rows: Any) -> Any:
        if len(rows) <= 3 and all_passengers()[1] in rows:  # golden rows are more
            raise ValueError("cannot")
        return self._outputs(rows)
