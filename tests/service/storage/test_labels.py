"""True labels of whole arrays: each row gets its own label, and each replaced label is kept."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from serialize.task import Label
from service.errors import UnknownObservation
from service.prediction.observation import Observation, canonical, key_of
from service.prediction.record import Record, ScoredObservation
from service.prediction.scoring import Score
from service.prediction.true_label import TrueLabel
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.storage.tables import UtcField

CLASSES: tuple[Label, ...] = ("setosa", 'vir"gi\\nica', "a\nb", "%s,{}", "é\u2028", "NULL", "")
SIZES = (1, 2, 3, 512, 513, 1000)

Labels = dict[int, Label]


def log_with(session: Session, n: int, *, regression: bool) -> PredictionLog:
    """A log with predictions that have the ids 0 to n - 1."""
    log = PredictionLog(session, "a" * 12, None, regression=regression)
    score = Score(predicted_value=1.5) if regression else Score(predicted_class="setosa", proba=0.7)
    rows = [ScoredObservation(Observation(i, key_of(i), {"x": i}, canonical({"x": i})), score) for i in range(n)]
    log.commit([rows], [], [])
    return log


def record(log: PredictionLog, *groups: Labels) -> list[list[Record]]:
    """Records groups of labels in one transaction; all ids are known."""
    _, _, outcomes = log.commit([], [], [group_of(labels) for labels in groups])
    assert all(isinstance(outcome, list) for outcome in outcomes)
    return outcomes  # type: ignore[return-value]


def group_of(labels: Labels) -> list[TrueLabel]:
    return [TrueLabel(key_of(id_), label) for id_, label in labels.items()]


def read(session: Session, select: str) -> list[tuple[Any, ...]]:
    return session.run(lambda: [tuple(row) for row in session.database.execute_sql(select).fetchall()])


def labels_of(session: Session, column: str) -> Labels:
    """The labels in the table, by the caller's id."""
    select = f"SELECT observation_id, {column} FROM prediction WHERE {column} IS NOT NULL"
    return {int(key): label for key, label in read(session, select)}


def label_times_of(session: Session) -> dict[int, datetime | None]:
    """When the labels in the table came, by the caller's id."""
    select = "SELECT observation_id, labelled_at FROM prediction WHERE labelled_at IS NOT NULL"
    return {int(key): UtcField().python_value(time) for key, time in read(session, select)}


def corrections(session: Session) -> list[tuple[Any, ...]]:
    """The caller's id, the replaced label, and the times of the replaced and the new label, in the order of entry."""
    select = (
        "SELECT observation_id, replaced_class, replaced_value, c.labelled_at, replaced_at FROM label_correction c "
        "JOIN prediction p ON p.id = prediction_id ORDER BY c.id"
    )
    time = UtcField().python_value
    return [
        (int(key), class_ if value is None else value, time(before), time(after))
        for key, class_, value, before, after in read(session, select)
    ]


def entries_of_change(session: Session) -> list[int]:
    """The caller's ids of the rows that a reader of the log reads again."""
    select = "SELECT observation_id FROM label_change c JOIN prediction p ON p.id = c.prediction_id"
    return sorted(int(key) for (key,) in read(session, select))


def time_of(records: Sequence[Record]) -> datetime:
    """The one time of all labels."""
    (time,) = {record.labelled_at for record in records}
    assert time is not None
    return time


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("regression", [True, False], ids=["regression", "classes"])
def test_each_row_gets_its_own_label(session: Session, regression: bool, size: int) -> None:
    log = log_with(session, size + 3, regression=regression)
    labels: Labels = {i: i / 7 - 50 if regression else CLASSES[i % len(CLASSES)] for i in range(size)}
    labels = dict(random.Random(size).sample(sorted(labels.items()), size))

    (records,) = record(log, labels)

    assert [(one.observation_id, one.true_label) for one in records] == list(labels.items())
    assert time_of(records).tzinfo is not None
    stored = labels if regression else {id_: canonical(label) for id_, label in labels.items()}
    assert labels_of(session, "true_value" if regression else "true_class") == stored
    assert label_times_of(session) == dict.fromkeys(labels, time_of(records))
    assert corrections(session) == []
    assert entries_of_change(session) == sorted(labels)


@pytest.mark.parametrize("regression", [True, False], ids=["regression", "classes"])
def test_replaced_labels_are_kept(session: Session, regression: bool) -> None:
    log = log_with(session, 1000, regression=regression)
    first: Labels = {i: float(i) if regression else CLASSES[i % 2] for i in range(1000)}
    second: Labels = {i: float(-i - 1) if regression else CLASSES[2 + i % 3] for i in reversed(range(1000))}
    (before,) = record(log, first)

    (after,) = record(log, second)

    replaced = first if regression else {id_: canonical(label) for id_, label in first.items()}
    assert corrections(session) == [(id_, replaced[id_], time_of(before), time_of(after)) for id_ in second]
    assert [one.true_label for one in after] == list(second.values())
    assert label_times_of(session) == dict.fromkeys(second, time_of(after))
    assert time_of(after) > time_of(before)


def test_new_same_and_changed_labels_in_one_array(session: Session) -> None:
    log = log_with(session, 6, regression=True)
    (before,) = record(log, {0: 1.0, 1: 2.0, 2: 3.0, 3: 0.0})

    (after,) = record(log, {0: 1.0, 1: 20.0, 2: 3.0, 3: 5.0, 4: 4.0, 5: 5.0})

    old, new = time_of(before), after[1].labelled_at
    assert [(one.true_label, one.labelled_at) for one in after] == [
        (1.0, old),
        (20.0, new),
        (3.0, old),
        (5.0, new),
        (4.0, new),
        (5.0, new),
    ]
    assert labels_of(session, "true_value") == {0: 1.0, 1: 20.0, 2: 3.0, 3: 5.0, 4: 4.0, 5: 5.0}
    assert corrections(session) == [(1, 2.0, old, new), (3, 0.0, old, new)]
    assert entries_of_change(session) == [0, 1, 1, 2, 3, 3, 4, 5]


def test_the_same_labels_again_change_nothing(session: Session) -> None:
    log = log_with(session, 20, regression=False)
    labels: Labels = {i: CLASSES[i % 3] for i in range(20)}
    (before,) = record(log, labels)

    (after,) = record(log, labels)

    assert after == before
    assert corrections(session) == []
    assert len(entries_of_change(session)) == 20


def test_the_last_label_of_several_groups_counts_and_the_others_are_kept(session: Session) -> None:
    log = log_with(session, 4, regression=True)

    first, second, third = record(log, {0: 1.0, 1: 1.0}, {0: 2.0, 2: 2.0}, {0: 3.0, 1: 1.0})

    now = first[0].labelled_at
    assert [[one.true_label for one in records] for records in (first, second, third)] == [
        [1.0, 1.0],
        [2.0, 2.0],
        [3.0, 1.0],
    ]
    assert labels_of(session, "true_value") == {0: 3.0, 1: 1.0, 2: 2.0}
    assert corrections(session) == [(0, 1.0, now, now), (0, 2.0, now, now)]


def test_a_label_that_is_replaced_and_comes_back_is_kept_twice(session: Session) -> None:
    log = log_with(session, 2, regression=True)
    (before,) = record(log, {0: 1.0, 1: 5.0})

    _, back = record(log, {0: 2.0, 1: 6.0}, {0: 1.0})

    old, new = time_of(before), time_of(back)
    assert labels_of(session, "true_value") == {0: 1.0, 1: 6.0}
    assert corrections(session) == [(0, 1.0, old, new), (1, 5.0, old, new), (0, 2.0, new, new)]


def test_a_group_with_an_unknown_id_labels_nothing_and_the_others_do(session: Session) -> None:
    log = log_with(session, 4, regression=True)

    _, _, (refused, taken) = log.commit([], [], [group_of({0: 1.0, 9: 1.0, 1: 1.0}), group_of({2: 2.0, 3: 3.0})])

    assert isinstance(refused, UnknownObservation)
    assert [fault.pointer for fault in refused.faults] == ["/1/id"]
    assert isinstance(taken, list)
    assert labels_of(session, "true_value") == {2: 2.0, 3: 3.0}


def test_the_labels_of_an_array_are_written_by_one_statement_per_512(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_with(session, 1024, regression=True)
    record(log, {i: float(i) for i in range(1024)})
    statements: list[str] = []
    execute: Any = session.database.execute_sql

    def execute_sql(sql: str, *parameters: Any) -> Any:
        statements.append(sql)
        return execute(sql, *parameters)

    monkeypatch.setattr(session.database, "execute_sql", execute_sql)

    record(log, {i: float(-1 - i) for i in range(1024)})

    assert sum("UPDATE" in sql and "SELECT" not in sql for sql in statements) <= 2
    assert sum("label_correction" in sql for sql in statements) == 2
