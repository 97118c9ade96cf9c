"""Two models are compared on the labelled rows that both answered, whoever answered them first."""

from datetime import timedelta

import numpy as np
import pytest

from serialize.task import Task
from service.prediction.scoring import Score
from service.storage.learning import pairs as module
from service.storage.learning.pairs import Answering, LabelledRows, PairReader, Pairs
from service.storage.learning.scores import ShadowScores
from service.storage.models.store import ModelStore
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction
from tests.service.storage.models.test_promotions import A, B, stored
from tests.support.logged import START, labelled, logged, write

BINARY = Task("binary", (False, True), True, 0.5)
IRIS = Task("multiclass", ("setosa", "virginica"))
REGRESSION = Task("regression")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    monkeypatch.setattr(module, "_BLOCK", 3)
    store = ModelStore(session)
    for version in (A, B):
        store.add(stored(version))


def score(session: Session, version: str, scores: dict[str, Score | None]) -> None:
    query = Prediction.select(Prediction.observation_id, Prediction.id).tuples()
    ids = session.watch(lambda: dict(query.execute(session.database)))
    session.run(lambda: ShadowScores(session.database).add(version, [(ids[key], one) for key, one in scores.items()]))


def read(session: Session, first: Task, second: Task | None = None, wanted: LabelledRows | None = None) -> Pairs:
    reader = PairReader(session.database, Answering(A, first), Answering(B, second or first))
    return session.watch(lambda: Pairs.joined(list(reader.blocks(wanted or LabelledRows()))))


def of_binary(session: Session) -> None:
    """A answered 0 to 3, B 4 and 5; 0 has no label, B refuses 1 and has not seen 2; A has not seen 5."""
    rows = [logged(0), labelled(1), labelled(2), labelled(3, "false"), *(labelled(n, model_version=B) for n in (4, 5))]
    session.run(lambda: write(session.database, *rows))
    score(session, B, {"0": Score(True, 0.7), "1": None, "3": Score(True, 0.75)})
    score(session, A, {"4": Score(False, 0.125)})


def test_a_pair_has_the_answer_of_both(session: Session) -> None:
    of_binary(session)

    found = read(session, BINARY)

    assert (found.truth.tolist(), found.first.tolist(), found.second.tolist()) == ([0, 1], [0.25, 0.125], [0.75, 0.25])
    assert (found.only_first, found.only_second) == (2, 1)
    assert np.diff(found.labelled).tolist() == [1_000_000]


def test_the_second_model_may_have_the_other_positive_class(session: Session) -> None:
    of_binary(session)

    assert read(session, BINARY, Task("binary", (False, True), False, 0.5)).second.tolist() == [0.25, 0.75]


def test_an_empty_log_has_no_pairs(session: Session) -> None:
    for task in (BINARY, IRIS, REGRESSION):
        found = read(session, task)
        assert (len(found), found.only_first, found.only_second) == (0, 0, 0)
    assert read(session, IRIS).first.shape == (0, 2)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (LabelledRows(since=int((START + timedelta(seconds=4)).timestamp()) * 10**6), [1]),
        (LabelledRows(until=int((START + timedelta(seconds=4)).timestamp()) * 10**6), [0]),
        (LabelledRows(labelled_since=START + timedelta(seconds=3604)), [1]),
        (LabelledRows(labelled_since=START + timedelta(seconds=3605)), []),
    ],
)
def test_pairs_are_chosen_by_time(session: Session, wanted: LabelledRows, expected: list[int]) -> None:
    of_binary(session)

    assert read(session, BINARY, wanted=wanted).truth.tolist() == expected


def test_a_corrected_row_counts_from_its_first_label(session: Session) -> None:
    of_binary(session)
    old = {"replaced_class": "false", "labelled_at": START, "replaced_at": START + timedelta(hours=1)}
    key = Prediction.select(Prediction.id).where(Prediction.observation_id == "4")
    session.run(lambda: LabelCorrection.insert(prediction=key, **old).execute(session.database))

    assert read(session, BINARY, wanted=LabelledRows(labelled_since=START + timedelta(hours=1))).truth.tolist() == [0]
    assert read(session, BINARY, wanted=LabelledRows(labelled_since=START)).truth.tolist() == [0, 1]


def test_the_earliest_are_by_the_time_of_the_label(session: Session) -> None:
    rows = [labelled(number, proba=number / 8) for number in range(4)]
    rows[0]["labelled_at"] = START + timedelta(days=1)
    session.run(lambda: write(session.database, *rows))
    score(session, B, {str(number): Score(True, 0.5) for number in range(4)})

    found = read(session, BINARY).earliest(2)

    assert found.first.tolist() == [0.125, 0.25]


def test_the_probabilities_of_many_classes_are_in_the_order_of_the_first_model(session: Session) -> None:
    row = labelled(0, '"virginica"', proba=0.75, probas='{"virginica":0.75,"setosa":0.25}')
    unknown = labelled(1, '"other"', proba=0.75, probas='{"virginica":0.75,"setosa":0.25}')
    session.run(lambda: write(session.database, row, unknown))
    score(session, B, {key: Score("setosa", 0.5, {"setosa": 0.5, "virginica": 0.5}) for key in "01"})

    found = read(session, IRIS)

    assert (found.truth.tolist(), found.first.tolist()) == ([1], [[0.25, 0.75]])
    assert found.second.tolist() == [[0.5, 0.5]]


def test_the_values_of_a_regression(session: Session) -> None:
    row = labelled(0, proba=None, predicted_class=None, threshold=None, predicted_value=1.5, true_value=2.5)
    row["true_class"] = None
    session.run(lambda: write(session.database, row))
    score(session, B, {"0": Score(predicted_value=3.5)})

    found = read(session, REGRESSION)

    assert (found.truth.tolist(), found.first.tolist(), found.second.tolist()) == ([2.5], [1.5], [3.5])
