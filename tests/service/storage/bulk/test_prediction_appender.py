"""Many predictions are appended at once: new ids are stored, and known ones are read."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import psycopg
import pytest

from service.errors import Unavailable
from service.prediction.columns import RowColumns
from service.prediction.observation import Observation, canonical
from service.prediction.record import ScoredObservation
from service.prediction.scoring import Score
from service.storage.bulk import prediction_appender
from service.storage.bulk.prediction_appender import PredictionAppender
from service.storage.bulk.run_ids import RunIds
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.service.storage.test_erased_meanwhile import before_each_read
from tests.service.storage.test_predictions import scored
from tests.support.waiting import WAIT_SECONDS, until

VERSION = "a" * 12


def rows(ids: Sequence[int | str], x: float = 1.0) -> RowColumns:
    texts = [canonical({"x": x})] * len(ids)
    return RowColumns(list(map(canonical, ids)), texts, predicted_value=[x] * len(ids))


def log_of(session: Session) -> list[tuple[int | str, float]]:
    found = session.read(lambda: list(Prediction.select().order_by(Prediction.id).execute(session.database)))
    return [(json.loads(row.observation_id), json.loads(row.observation)["x"]) for row in found]


def test_new_ids_are_stored_and_known_ones_are_read(session: Session) -> None:
    appender = PredictionAppender(session, VERSION, 0.25)
    assert appender.append(rows([7, "7", 8])) == {}

    known = appender.append(rows([9, "7", 10, 7, 6], 2.0))

    assert {key: json.loads(record.text) for key, record in known.items()} == {"7": {"x": 1.0}, '"7"': {"x": 1.0}}
    assert {(record.score.predicted_value, record.threshold, record.model_version) for record in known.values()} == {
        (1.0, 0.25, VERSION)
    }
    assert sorted(log_of(session), key=str) == sorted(
        [(7, 1.0), ("7", 1.0), (8, 1.0), (9, 2.0), (10, 2.0), (6, 2.0)], key=str
    )


@pytest.mark.parametrize("count", [1, 511, 512, 1500])
def test_any_number_of_rows_is_stored_once(session: Session, count: int) -> None:
    appender = PredictionAppender(session, VERSION, None)

    appender.append(rows(range(0, count, 2)))
    known = appender.append(rows(range(count)))

    assert len(known) == len(range(0, count, 2))
    assert sorted(log_of(session)) == [(i, 1.0) for i in range(count)]


def test_the_rows_are_those_of_a_single_prediction(session: Session) -> None:
    odd = 'a\\b\t"\n\\N é\u2028\U0001f600\\.'
    one = scored(odd)
    columns = RowColumns(
        [one.observation.key], [canonical({"text": odd})], [1 / 3], [canonical({odd: 1e-7})], [canonical(odd)], None
    )

    PredictionAppender(session, VERSION, 0.5).append(columns)

    (row,) = session.read(lambda: list(Prediction.select().execute(session.database)))
    assert (json.loads(row.observation_id), json.loads(row.observation)) == (odd, {"text": odd})
    assert (row.proba, json.loads(row.probas), json.loads(row.predicted_class)) == (1 / 3, {odd: 1e-7}, odd)
    assert (row.threshold, row.model_version, row.predicted_value, row.true_class) == (0.5, VERSION, None, None)


def test_a_row_of_the_service_is_known(session: Session) -> None:
    service = PredictionLog(session, "b" * 12, None, regression=True)
    service.commit([[scored("a", 5)]], [], [])

    known = PredictionAppender(session, VERSION, None).append(rows(["a", "b"], 5.0))

    assert list(known) == ['"a"']
    assert known['"a"'].model_version == "b" * 12


@pytest.mark.parametrize("attempts", [1, 10])
def test_a_row_that_is_erased_before_it_is_read_is_stored_anew(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    appender = PredictionAppender(session, VERSION, None)
    appender.append(rows(["a"]))
    monkeypatch.setattr(prediction_appender, "_ATTEMPTS", attempts)
    with psycopg.connect(postgresql_url, autocommit=True) as rival:
        before_each_read(
            session, monkeypatch, lambda: rival.execute("DELETE FROM prediction WHERE observation_id = '\"a\"'")
        )
        if attempts == 1:
            with pytest.raises(Unavailable, match="erased"):
                appender.append(rows(["a", "b"], 2.0))
        else:
            assert appender.append(rows(["a", "b"], 2.0)) == {}
            assert sorted(log_of(session)) == [("a", 2.0), ("b", 2.0)]
    session.close()


def test_an_id_that_another_writer_is_storing_is_known_once_it_is_committed(postgresql_url: str) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    appender = PredictionAppender(session, VERSION, None)
    found: list[object] = []
    with psycopg.connect(postgresql_url) as rival, psycopg.connect(postgresql_url, autocommit=True) as watcher:
        rival.execute(
            "INSERT INTO prediction (observation_id, observation, predicted_value, created_at) "
            "VALUES ('1', '{\"x\": 3.0}', 3.0, now())"
        )
        thread = threading.Thread(target=lambda: found.append(appender.append(rows([0, 1, 2]))))
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        until(lambda: watcher.execute(waiting).fetchone() == (1,))
        rival.commit()
        thread.join(WAIT_SECONDS)

    (known,) = found
    assert isinstance(known, dict)
    assert [record.score.predicted_value for record in known.values()] == [3.0]
    assert sorted(log_of(session)) == [(0, 1.0), (1, 3.0), (2, 1.0)]
    session.close()


def test_a_connection_that_broke_is_replaced(postgresql_url: str) -> None:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    appender = PredictionAppender(session, VERSION, None)
    appender.append(rows([1]))
    with psycopg.connect(postgresql_url, autocommit=True) as rival:
        rival.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )

    assert list(appender.append(rows([1, 2]))) == ["1"]
    assert sorted(log_of(session)) == [(1, 1.0), (2, 1.0)]
    session.close()


def test_it_pauses_while_another_writes(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(prediction_appender, "sleep", pauses.append)
    service = PredictionLog(session, VERSION, None, regression=True)
    appender = PredictionAppender(session, VERSION, None)
    alone = appender.rows_at_once
    appender.append(rows([1]))
    appender.append(rows([2, 1]))
    assert pauses == []

    service.commit([[scored("a")]], [], [])
    appender.append(rows([3]))
    appender.append(rows([4]))

    assert appender.rows_at_once < alone
    assert len(pauses) == 2
    assert min(pauses) > 0
    monkeypatch.setattr(prediction_appender, "_SEEN_SECONDS", 0.0)
    appender.append(rows([5]))
    assert len(pauses) == 2
    assert appender.rows_at_once == alone


def test_processes_of_one_run_are_no_others_to_each_other(
    session: Session, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(prediction_appender, "sleep", pauses.append)
    other = Session(connect(database_url))
    run_ids = RunIds(get_context("spawn"))
    first, second = (PredictionAppender(each, VERSION, None, run_ids) for each in (session, other))
    alone = first.rows_at_once

    for start in range(0, 40, 10):
        first.append(rows(range(start, start + 6)))
        second.append(rows(range(start + 5, start + 10)))  # the first of them is known

    assert (first.rows_at_once, second.rows_at_once, pauses) == (alone, alone, [])
    PredictionAppender(other, VERSION, None).append(rows([100]))
    first.append(rows([101]))
    assert first.rows_at_once < alone
    assert len(pauses) == 1
    other.close()


def test_postgresql_counts_the_rows_after_many(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_appender, "_MANY_ROWS", 8)
    database = connect(postgresql_url)
    prepare(database)

    for first, counted in ((0, -1), (7, 15)):
        appender = PredictionAppender(Session(database), VERSION, None)
        appender.append(rows(range(first, first + first + 1)))
        appender.append(rows(range(first)))
        appender.close()

        with database.connection_context():
            found = database.execute_sql("SELECT reltuples FROM pg_class WHERE relname = 'prediction'").fetchone()
        assert found == (counted,), first


def test_writers_of_the_same_ids_store_each_once(database_url: str) -> None:
    prepare(connect(database_url))

    def append(order: int) -> int:
        session = Session(connect(database_url))
        appender, known = PredictionAppender(session, VERSION, None), 0
        for start in range(0, 900, 300):
            known += len(appender.append(rows(range(start, start + 300)[::order])))
        session.close()
        return known

    def predict() -> int:
        session = Session(connect(database_url))
        log, known = PredictionLog(session, VERSION, None, regression=True), 0
        for start in range(0, 900, 100):
            stored = log.commit([[observed(i)] for i in range(start, start + 100)], [], []).predictions
            known += sum(one.replayed for group in stored if isinstance(group, list) for one in group)
        session.close()
        return known

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(append, 1), pool.submit(append, -1), pool.submit(predict)]
        known = sum(job.result(WAIT_SECONDS) for job in jobs)

    assert known == 2 * 900
    session = Session(connect(database_url))
    assert sorted(log_of(session)) == [(i, 1.0) for i in range(900)]
    session.close()


def observed(id_: int) -> ScoredObservation:
    text = canonical({"x": 1.0})
    return ScoredObservation(Observation(id_, str(id_), {"x": 1.0}, text), Score(predicted_value=1.0))
