"""A prediction that is erased while it is asked for is stored anew, or is unknown: never an error of the service."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from service.errors import Unavailable, UnknownObservation
from service.prediction.filter import PredictionFilter
from service.prediction.observation import key_of
from service.prediction.record import StoredPrediction
from service.prediction.true_label import TrueLabel
from service.storage.connection import connect
from service.storage.deletion import Erasure
from service.storage.migrate import prepare
from service.storage.predictions import PredictionLog
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.service.storage.test_predictions import scored
from tests.support.waiting import WAIT_SECONDS

IDS = ("a", "b", "c")
ROUNDS = 60


@contextmanager
def opened(url: str) -> Iterator[PredictionLog]:
    session = Session(connect(url))
    yield PredictionLog(session, "a" * 12, None, regression=True)
    session.close()


def before_each_read(session: Session, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Calls `act` before the session reads predictions."""
    execute: Any = session.database.execute_sql

    def execute_sql(sql: str, *parameters: Any) -> Any:
        if sql.startswith("SELECT") and '"observation_id" IN' in sql:
            act()
        return execute(sql, *parameters)

    monkeypatch.setattr(session.database, "execute_sql", execute_sql)


@pytest.mark.parametrize("groups", [[[scored("a")], [scored("b")]], [[scored("a"), scored("b")]]])
def test_a_row_that_is_erased_before_it_is_read_is_stored_anew(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, groups: Any
) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    log = PredictionLog(session, "a" * 12, None, regression=True)
    log.commit([[scored("a")]], [], [])
    with psycopg.connect(postgresql_url, autocommit=True) as rival:
        statement = "DELETE FROM prediction WHERE observation_id = '\"a\"'"
        before_each_read(session, monkeypatch, lambda: rival.execute(statement))

        outcomes, _, _ = log.commit(groups, [], [])

        kept: dict[str, int] = dict(rival.execute("SELECT observation_id, id FROM prediction").fetchall())
    entries = [entry for outcome in outcomes if isinstance(outcome, list) for entry in outcome]
    assert [entry.replayed for entry in entries] == [False, False]
    assert kept == {f'"{entry.record.observation_id}"': entry.record.id for entry in entries}
    session.close()


def test_a_row_that_is_erased_again_and_again_is_unavailable(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    log = PredictionLog(session, "a" * 12, None, regression=True)
    with psycopg.connect(postgresql_url, autocommit=True) as rival:
        monkeypatch.setattr("service.storage.predictions._ATTEMPTS", 1)
        log.commit([[scored("a")]], [], [])
        before_each_read(session, monkeypatch, lambda: rival.execute("DELETE FROM prediction"))

        with pytest.raises(Unavailable) as refused:
            log.commit([[scored("a")]], [], [])

    assert "Retry-After" in refused.value.headers
    session.close()


def predict(url: str) -> int:
    """Predicts the ids again and again; returns how many rows were new."""
    fresh = 0
    with opened(url) as log:
        for i in range(ROUNDS):
            groups = [[scored(id_) for id_ in IDS]] if i % 2 else [[scored(id_)] for id_ in IDS]
            outcomes, _, _ = log.commit(groups, [], [])
            entries = [entry for outcome in outcomes if isinstance(outcome, list) for entry in outcome]
            assert [entry.record.observation_id for entry in entries] == list(IDS)
            assert all(isinstance(entry, StoredPrediction) and entry.record.score.predicted_value for entry in entries)
            fresh += sum(not entry.replayed for entry in entries)
    return fresh


def label(url: str) -> int:
    with opened(url) as log:
        for i in range(ROUNDS):
            _, _, outcomes = log.commit([], [], [[TrueLabel(key_of(id_), float(i))] for id_ in IDS])
            for outcome in outcomes:
                assert isinstance(outcome, UnknownObservation) or outcome[0].true_label == i  # type: ignore[index]
    return 0


def erase(url: str) -> int:
    """Erases the ids again and again; returns how many rows that were, as a negative number."""
    session, erased = Session(connect(url)), 0
    erasure = Erasure(session, log_reader(session.database))
    for i in range(ROUNDS):
        try:
            erasure.one(key_of(IDS[i % 3]))
        except UnknownObservation:
            continue
        erased += 1
    return -erased


def read(url: str) -> int:
    session = Session(connect(url))
    reader = log_reader(session.database)
    for i in range(ROUNDS):
        wanted = PredictionFilter(observation_id=key_of(IDS[i % 3]))
        assert len(session.read(lambda: reader.older(wanted, size=2)).rows) <= 1  # noqa: B023 - called at once
    return 0


@pytest.mark.long
def test_concurrent_erasures_predictions_labels_and_reads_of_the_same_ids_all_succeed(database_url: str) -> None:
    prepare(connect(database_url))
    jobs = (predict, predict, label, erase, erase, read)
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(job, database_url) for job in jobs]
        counts = [each.result(WAIT_SECONDS) for each in running]

    with connect(database_url) as database:
        assert Prediction.select().count(database) == sum(counts)
    assert sum(count for count in counts if count < 0) < 0
