"""Scores by another model are written once, and vanish with their rows."""

from datetime import timedelta

import pytest

from service.prediction.scoring import Score
from service.storage.deletion import Erasure
from service.storage.learning.scores import ShadowScores
from service.storage.learning.tables import ShadowScore
from service.storage.models.store import ModelStore
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.service.storage.models.test_promotions import A, B, stored
from tests.support.logged import START, logged, write

SCORE = Score(predicted_class=True, proba=0.75)


@pytest.fixture
def scores(session: Session) -> ShadowScores:
    """Of a log with five rows, of which B answered the last."""
    store = ModelStore(session)
    for version in (A, B):
        store.add(stored(version))
    rows = [*map(logged, range(4)), logged(4, model_version=B)]
    session.run(lambda: write(session.database, *rows))
    return ShadowScores(session.database)


def ids(session: Session) -> list[int]:
    query = Prediction.select(Prediction.id).order_by(Prediction.id)
    return session.watch(lambda: [id_ for (id_,) in query.tuples().execute(session.database)])


def unscored(session: Session, scores: ShadowScores, after: int = 0) -> list[int]:
    block = session.watch(lambda: scores.unscored(B, after))
    return [] if block is None else [id_ for id_, _ in block.rows]


def test_a_row_is_scored_once_by_each_version_but_not_by_its_own(session: Session, scores: ShadowScores) -> None:
    all_ids = ids(session)
    assert unscored(session, scores) == all_ids[:4]
    assert unscored(session, scores, all_ids[1]) == all_ids[2:4]

    assert session.run(lambda: scores.add(B, [(all_ids[0], SCORE), (all_ids[2], None)])) == 2
    assert session.run(lambda: scores.add(B, [(all_ids[0], SCORE._replace(proba=0.5)), (all_ids[1], SCORE)])) == 1

    assert unscored(session, scores) == [all_ids[3]]
    assert session.watch(lambda: scores.refused(B)) == 1
    columns = (ShadowScore.proba, ShadowScore.predicted_class, ShadowScore.predicted_value)
    query = ShadowScore.select(*columns).order_by(ShadowScore.prediction).tuples()
    assert session.watch(lambda: list(query.execute(session.database))) == [
        (0.75, "true", None), (0.75, "true", None), (None, None, None),
    ]  # fmt: skip


def test_only_rows_from_a_time_on_are_scored(session: Session, scores: ShadowScores) -> None:
    since = START + timedelta(seconds=2)
    block = session.watch(lambda: scores.unscored(B, 0, since))
    assert block is not None
    assert [id_ for id_, _ in block.rows] == ids(session)[2:4]
    assert block.rows[0][1] == '{"Sex":"male"}'
    assert (block.size, block.end) == (5, ids(session)[-1])
    assert session.watch(lambda: scores.first(since)) == ids(session)[2]
    assert session.watch(lambda: scores.first(START + timedelta(days=1))) is None
    assert session.watch(lambda: scores.count(0, scores.last(), since)) == 3


def test_after_the_end_there_is_no_block(session: Session, scores: ShadowScores) -> None:
    assert session.watch(lambda: scores.unscored(B, scores.last())) is None


def test_an_erased_row_takes_its_scores_along_and_is_not_scored_again(session: Session, scores: ShadowScores) -> None:
    first, second, *_ = ids(session)
    session.run(lambda: scores.add(B, [(first, SCORE)]))

    Erasure(session, log_reader(session.database)).one("0")

    assert session.run(lambda: scores.add(B, [(first, SCORE), (second, SCORE)])) == 1
    assert session.watch(lambda: ShadowScore.select().count(session.database)) == 1
    assert list(Erasure(session, log_reader(session.database)).erase_before(START + timedelta(days=1))) == [4]
    assert session.watch(lambda: ShadowScore.select().count(session.database)) == 0
