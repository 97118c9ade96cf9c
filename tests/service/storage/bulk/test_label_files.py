"""The labels of a file and how far the file is are stored together, so that each label is recorded once."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import pytest

from service.errors import Fault, ServiceError
from service.prediction.observation import key_of
from service.prediction.true_label import TrueLabel
from service.storage.bulk.label_files import LabelFileLog, Position
from service.storage.session import Session
from service.storage.tables import LabelCorrection, LabelFile, Prediction
from tests.support.logged import logged, write

Value = TypeVar("Value")

BEGINNING = Position(0, 0)


@pytest.fixture
def log(session: Session) -> LabelFileLog:
    """The log of a run that reads predictions with the ids 0 to 9."""
    session.database.connect(reuse_if_open=True)
    write(session.database, *map(logged, range(10)))
    return run(session)


def run(session: Session, digest: str = "a") -> LabelFileLog:
    return LabelFileLog(session, digest, regression=False)


def labels(**classes: bool) -> list[TrueLabel]:
    """Labels by id; the names are i0, i1, ..."""
    return [TrueLabel(key_of(int(name[1:])), label) for name, label in classes.items()]


def labels_of(session: Session) -> dict[int, str]:
    rows = Prediction.select().where(Prediction.true_class.is_null(False))
    return {int(row.observation_id): row.true_class for row in rows.execute(session.database)}


def corrections(session: Session) -> int:
    return int(LabelCorrection.select().count(session.database))


def test_the_outcome_of_each_label_is_told(log: LabelFileLog, session: Session) -> None:
    log.begin()
    log.take(labels(i0=True, i1=True), Position(0, 2))

    (unchanged, corrected, labelled, again, unknown) = log.take(
        [*labels(i0=True, i1=False, i2=False), *labels(i2=True, i99=True)], Position(0, 9)
    )

    assert (unchanged, corrected, labelled, again) == ("unchanged", "corrected", "labelled", "corrected")
    assert isinstance(unknown, Fault)
    assert (unknown.pointer, unknown.kind, unknown.value) == ("/id", "unknown id", 99)
    assert labels_of(session) == {0: "true", 1: "false", 2: "true"}
    assert corrections(session) == 2


def test_a_label_of_another_kind_of_task_is_a_fault(log: LabelFileLog, session: Session) -> None:
    write(session.database, logged(20, predicted_class=None, proba=None, predicted_value=1.5))
    log.begin()

    (fault,) = log.take(labels(i20=True), Position(0, 1))

    assert isinstance(fault, Fault)
    assert (fault.pointer, fault.kind) == ("/id", "other task")
    assert labels_of(session) == {}


def test_a_run_goes_on_behind_the_last_recorded_label(log: LabelFileLog, session: Session) -> None:
    log.begin()
    log.take(labels(i0=True, i1=True), Position(0, 2))
    log.take(labels(i0=False), Position(1, 7))

    again = run(session)

    assert again.begin() == Position(1, 7)
    assert again.take(labels(i0=True, i1=True), Position(0, 2)) == ["done before", "done before"]
    assert again.take(labels(i0=False), Position(1, 7)) == ["done before"]
    assert again.take(labels(i1=False), Position(1, 8)) == ["corrected"]
    assert labels_of(session) == {0: "false", 1: "false"}
    assert corrections(session) == 2


def test_labels_and_progress_are_stored_together_or_not_at_all(
    log: LabelFileLog, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.begin()
    log.take(labels(i0=True), Position(0, 1))
    with monkeypatch.context() as patched:
        patched.setattr(type(session.database), "commit", _fail)
        with pytest.raises(RuntimeError):
            log.take(labels(i1=True), Position(0, 2))

    assert run(session).begin() == Position(0, 1)
    assert labels_of(session) == {0: "true"}


def _fail(_: Any) -> None:
    raise RuntimeError


def test_a_prediction_that_was_made_since_gets_its_labels_in_order(log: LabelFileLog, session: Session) -> None:
    log.begin()
    log.take(labels(i0=True, i11=True, i12=True), Position(0, 3))
    log.take(labels(i11=False), Position(0, 4))
    write(session.database, logged(11))

    again = run(session)
    again.begin()
    first = again.take(labels(i0=True, i11=True, i12=True), Position(0, 3))
    second = again.take(labels(i11=False), Position(0, 4))

    assert first[:2] == ["done before", "labelled"]
    assert isinstance(first[2], Fault)
    assert second == ["corrected"]
    assert labels_of(session) == {0: "true", 11: "false"}


def test_a_run_that_ended_begins_again(log: LabelFileLog, session: Session) -> None:
    log.begin()
    log.take(labels(i0=True), Position(0, 1))
    log.finish()

    assert LabelFile.select().count(session.database) == 0
    assert run(session).begin() == BEGINNING


def test_runs_with_other_input_do_not_know_each_other(log: LabelFileLog, session: Session) -> None:
    log.begin()
    log.take(labels(i0=True), Position(0, 1))

    other = run(session, "b")

    assert other.begin() == BEGINNING
    assert other.take(labels(i1=True), Position(0, 5)) == ["labelled"]
    other.finish()
    assert run(session).begin() == Position(0, 1)


def test_two_runs_with_the_same_input_do_not_mix(log: LabelFileLog, session: Session) -> None:
    other = run(session)
    log.begin()
    other.begin()
    log.take(labels(i0=True), Position(0, 1))

    with pytest.raises(ServiceError, match="Another run records the labels of the same input"):
        other.take(labels(i0=False), Position(0, 1))

    assert labels_of(session) == {0: "true"}
    assert corrections(session) == 0


class _Twice(Session):
    """A session that does all work twice, as if the connection broke after each first commit."""

    def run(self, work: Callable[[], Value]) -> Value:
        super().run(work)
        return super().run(work)


def test_work_that_is_repeated_after_its_commit_records_nothing_twice(log: LabelFileLog, session: Session) -> None:
    with closing(_Twice(session.database)) as twice:
        repeated = run(twice)
        repeated.begin()

        outcomes = repeated.take([*labels(i0=True), *labels(i0=False), *labels(i99=True)], Position(0, 3))

        assert outcomes[:2] == ["labelled", "corrected"]
        assert corrections(session) == 1
        assert repeated.take(labels(i1=True), Position(0, 4)) == ["labelled"]
