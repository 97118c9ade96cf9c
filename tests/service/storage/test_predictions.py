"""The log of predictions: one id has one row in every kind of batch, and writers do not deadlock."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from service.errors import InvalidBody, ObservationConflict
from service.prediction.observation import Observation, canonical, key_of
from service.prediction.record import ScoredObservation, StoredPrediction
from service.prediction.scoring import Score
from service.prediction.true_label import TrueLabel
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from tests.support.waiting import WAIT_SECONDS, until

Group = list[ScoredObservation]


def scored(id_: str, x: int = 1) -> ScoredObservation:
    """An observation with its score."""
    values = {"x": x}
    return ScoredObservation(Observation(id_, key_of(id_), values, canonical(values)), Score(predicted_value=float(x)))


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    prepare(connect(database_url))
    session = Session(connect(database_url))
    yield session
    session.close()


@pytest.fixture
def log(session: Session) -> PredictionLog:
    return PredictionLog(session, "a" * 12, None, regression=True)


def stored(session: Session) -> dict[str, int]:
    """The keys of the rows by their ids."""
    rows = session.run(lambda: session.database.execute_sql("SELECT observation_id, id FROM prediction").fetchall())
    return {json.loads(id_): key for id_, key in rows}


def test_a_batch_inserts_new_ids_and_reads_known_ones(log: PredictionLog, session: Session) -> None:
    log.commit([[scored("b")], [scored("d", 4)]], [], [])
    before = stored(session)

    entries, _, _ = log.commit([[scored("c", 3)], [scored("b")], [scored("d", 5)], [scored("a", 7)]], [], [])

    new, old, conflict, last = entries
    assert isinstance(conflict, ObservationConflict)
    assert [fault.pointer for fault in conflict.faults] == ["/0/id"]
    found = {}
    for outcome, replayed in ((new, False), (old, True), (last, False)):
        assert isinstance(outcome, list)
        ((record, was_there),) = outcome
        assert was_there is replayed
        found[record.observation_id] = (record.id, record.score.predicted_value)
    now = stored(session)
    assert set(now) == {"a", "b", "c", "d"}
    assert {name: now[name] for name in before} == before
    assert found == {"c": (now["c"], 3.0), "b": (now["b"], 1.0), "a": (now["a"], 7.0)}


def test_a_batch_of_known_ids_is_read(log: PredictionLog, session: Session) -> None:
    groups = [[scored(id_, x)] for x, id_ in enumerate("cab")]
    first, _, _ = log.commit(groups, [], [])

    again, _, _ = log.commit(groups, [], [])

    for one, other in zip(first, again, strict=True):
        assert isinstance(one, list)
        assert isinstance(other, list)
        assert other == [StoredPrediction(one[0].record, True)]
    assert len(stored(session)) == 3


def test_an_id_twice_in_a_batch_is_stored_once(log: PredictionLog, session: Session) -> None:
    entries, _, _ = log.commit([[scored("a")], [scored("b")], [scored("a")]], [], [])

    first, _, second = entries
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert (first[0].replayed, second[0].replayed) == (False, True)
    assert first[0].record == second[0].record
    assert len(stored(session)) == 2


class Rival:
    """Another writer on the same PostgreSQL: it locks rows, and finds which rows a session has locked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._holding = psycopg.connect(url)

    def insert(self, id_: str) -> None:
        """Inserts a row and does not commit."""
        self._holding.execute(_INSERT, (key_of(id_),))

    def lock(self, id_: str) -> None:
        """Locks an existing row."""
        self._holding.execute("SELECT 1 FROM prediction WHERE observation_id = %s FOR UPDATE", (key_of(id_),))

    def is_waited_for(self) -> bool:
        """Whether a session of the service waits for a lock."""
        with psycopg.connect(self._url) as other:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            (found,) = other.execute(waiting).fetchone() or (0,)
        return bool(found)

    def finds_inserted(self, id_: str) -> bool:
        """Whether another session has inserted this id and not committed yet."""
        return self._is_refused(_INSERT, id_)

    def finds_locked(self, id_: str) -> bool:
        """Whether another session has locked this row."""
        return self._is_refused("SELECT 1 FROM prediction WHERE observation_id = %s FOR UPDATE", id_)

    def _is_refused(self, statement: str, id_: str) -> bool:
        with psycopg.connect(self._url) as other:
            other.execute("SET lock_timeout = '50ms'")
            try:
                other.execute(statement.encode(), (key_of(id_),))
            except LockNotAvailable:
                return True
            finally:
                other.rollback()
        return False

    def commit(self) -> None:
        """Commits what it has inserted."""
        self._holding.commit()

    def let_go(self) -> None:
        """Gives up what it has not committed."""
        self._holding.rollback()

    def close(self) -> None:
        self._holding.close()


_INSERT = (
    "INSERT INTO prediction (observation_id, observation, predicted_value, created_at) VALUES (%s, '{}', 1.0, now())"
)


@pytest.fixture
def rival(postgresql_url: str) -> Iterator[Rival]:
    prepare(connect(postgresql_url))
    rival = Rival(postgresql_url)
    yield rival
    rival.close()


@pytest.fixture
def postgresql_log(postgresql_url: str, rival: Rival) -> Iterator[PredictionLog]:
    session = Session(connect(postgresql_url))
    yield PredictionLog(session, "a" * 12, None, regression=True)
    session.close()


# Writers that lock rows in the same order cannot deadlock. The tests stop a writer at the last row of this order, and
# check that it has locked all the others.
IDS = [f"id-{i:02}" for i in range(31)]
UNSORTED = [*IDS[15:], *IDS[:15]]  # the last one is in the middle


@pytest.mark.parametrize(
    "groups",
    [[[scored(id_)] for id_ in UNSORTED], [[scored(id_) for id_ in UNSORTED]]],
    ids=["single predictions", "an array"],
)
def test_rows_are_inserted_in_the_order_of_their_ids(
    postgresql_log: PredictionLog, rival: Rival, groups: list[Group]
) -> None:
    rival.insert(IDS[-1])

    with stopped(rival, lambda: postgresql_log.commit(groups, [], [])) as writer:
        inserted = [id_ for id_ in IDS[:-1] if rival.finds_inserted(id_)]
        writer.go_on()

    assert inserted == IDS[:-1]


def test_single_predictions_in_a_transaction_are_inserted_in_the_order_of_their_ids(
    postgresql_log: PredictionLog, rival: Rival
) -> None:
    postgresql_log.commit([[scored("labelled")]], [], [])
    labels = [[TrueLabel(key_of("labelled"), 1.0)]]
    rival.insert(IDS[-1])

    with stopped(rival, lambda: postgresql_log.commit([[scored(id_)] for id_ in UNSORTED], [], labels)) as writer:
        inserted = [id_ for id_ in IDS[:-1] if rival.finds_inserted(id_)]
        writer.go_on()

    assert inserted == IDS[:-1]


def test_rows_are_locked_for_labels_in_the_order_of_their_ids(postgresql_log: PredictionLog, rival: Rival) -> None:
    postgresql_log.commit([[scored(id_) for id_ in IDS]], [], [])
    rival.lock(IDS[-1])

    with stopped(
        rival, lambda: postgresql_log.commit([], [], [[TrueLabel(key_of(id_), 1.0) for id_ in UNSORTED]])
    ) as writer:
        locked = [id_ for id_ in IDS[:-1] if rival.finds_locked(id_)]
        writer.go_on()

    assert locked == IDS[:-1]


class stopped:  # noqa: N801 - read as a verb in a with statement
    """Runs a job in a thread until it waits for a lock of the rival; `go_on` releases the lock and joins the job."""

    def __init__(self, rival: Rival, job: Callable[[], object]) -> None:
        self._rival = rival
        self._pool = ThreadPoolExecutor(1)
        self._job = job

    def __enter__(self) -> "stopped":
        self._running = self._pool.submit(self._job)
        until(self._rival.is_waited_for)
        return self

    def go_on(self) -> None:
        self._rival.let_go()
        self._running.result(WAIT_SECONDS)

    def __exit__(self, *_: object) -> None:
        self._rival.let_go()
        self._pool.shutdown()


def test_a_label_of_another_task_changes_no_row(log: PredictionLog, session: Session) -> None:
    log.commit([[scored("value")]], [], [])
    classifier = PredictionLog(session, "b" * 12, 0.5)
    a_class = ScoredObservation(scored("class").observation, Score(predicted_class=True, proba=0.7))
    classifier.commit([[a_class]], [], [])

    _, _, (refused, taken) = log.commit(
        [], [], [[TrueLabel(key_of("value"), 1.0), TrueLabel(key_of("class"), 1.0)], [TrueLabel(key_of("value"), 2.0)]]
    )
    _, _, (other,) = classifier.commit([], [], [[TrueLabel(key_of("value"), True)]])

    assert isinstance(refused, InvalidBody)
    assert isinstance(other, InvalidBody)
    assert [fault.pointer for fault in refused.faults] == ["/1/id"]
    assert refused.faults[0].detail == "Observation ID: class has a predicted class, so it takes no true_value"
    assert other.faults[0].detail == "Observation ID: value has a predicted value, so it takes no true_class"
    assert isinstance(taken, list)
    assert taken[0].true_label == 2.0
    rows = session.run(
        lambda: session.database.execute_sql("SELECT true_class, true_value FROM prediction ORDER BY id").fetchall()
    )
    assert [tuple(row) for row in rows] == [(None, 2.0), (None, None)]
