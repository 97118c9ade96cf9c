"""Arrays by column: the rows are those of an array item by item, and an array with a known id stores nothing."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest

from serialize.signature import Scalar
from serialize.task import Label
from service.prediction.columns import RowColumns
from service.prediction.observation import Observation, ObservationId, canonical, key_of
from service.prediction.record import ScoredObservation
from service.prediction.scoring import Score
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.service.storage.test_predictions import IDS, UNSORTED, Rival, stopped
from tests.support.waiting import WAIT_SECONDS

VERSION = "a" * 12
SIZES = (1, 2, 511, 512, 513, 1000)
CLASSES: tuple[Label, ...] = ("setosa", "versi color", 'vir"gi\\nica')
HARD_TEXTS = ("", "%s", "?1", "\\N", 'a "b"', "a\nb\tc", "{1,2}", "NULL", "é\u2028\U0001f600", "\x7f", "a'b", "\\")


def scored(kind: str, ids: list[ObservationId]) -> list[ScoredObservation]:
    """Observations with scores of a kind of task."""
    return [
        ScoredObservation(Observation(id_, key_of(id_), values, canonical(values)), score(kind, i))
        for i, id_ in enumerate(ids)
        for values in [observation(i)]
    ]


def observation(i: int) -> dict[str, Scalar]:
    return {"x": i / 7, "text": HARD_TEXTS[i % len(HARD_TEXTS)], "none": None}


def score(kind: str, i: int) -> Score:
    number = (i * 7919 % 10_007) / 10_007 * 10.0 ** (i % 40 - 20)
    if kind == "regression":
        return Score(predicted_value=-number if i % 3 else float(i))
    if kind == "binary":
        return Score(predicted_class=i % 2 == 0, proba=number)
    return Score(predicted_class=CLASSES[i % 3], proba=number, probas={str(label): number for label in CLASSES})


def by_column(rows: list[ScoredObservation]) -> RowColumns:
    """The rows as an array by column gives them."""
    observations, scores = zip(*rows, strict=True)
    first = scores[0]
    return RowColumns(
        [one.key for one in observations],
        [one.text for one in observations],
        None if first.proba is None else [one.proba for one in scores],
        None if first.probas is None else [canonical(one.probas) for one in scores],
        None if first.predicted_class is None else [canonical(one.predicted_class) for one in scores],
        None if first.predicted_value is None else [one.predicted_value for one in scores],
    )


def mixed_ids(n: int) -> list[ObservationId]:
    """Ids of both types, and of hard texts, in no order."""
    ids: list[ObservationId] = [f"id {i} {HARD_TEXTS[i % len(HARD_TEXTS)]}" if i % 3 else i - n // 2 for i in range(n)]
    random.Random(n).shuffle(ids)
    return ids


def log_of(session: Session, kind: str) -> PredictionLog:
    return PredictionLog(session, VERSION, 0.5 if kind == "binary" else None, regression=kind == "regression")


def stored(session: Session) -> list[dict[str, Any]]:
    """The rows by column, by ascending id."""

    def read() -> list[dict[str, Any]]:
        cursor = session.database.execute_sql("SELECT * FROM prediction ORDER BY id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    return session.run(read)


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what differs from one time to the next."""
    first = rows[0]["id"]
    return [{**row, "id": row["id"] - first, "created_at": None} for row in rows]


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        *(("binary", size) for size in SIZES),
        pytest.param("binary", 10_000, marks=pytest.mark.long),
        ("multiclass", 1000),
        ("regression", 1000),
    ],
)
def test_the_rows_are_those_of_an_array_item_by_item(session: Session, kind: str, size: int) -> None:
    log, rows = log_of(session, kind), scored(kind, mixed_ids(size))
    session.run(lambda: log.append([rows]))
    one_by_one = stored(session)
    session.run(lambda: session.database.execute_sql("DELETE FROM prediction"))

    ids = session.run(lambda: log.append_columns(by_column(rows)))

    by_columns = stored(session)
    assert comparable(by_columns) == comparable(one_by_one)
    assert len({row["created_at"] for row in by_columns}) == 1
    key_by_id = {row["id"]: row["observation_id"] for row in by_columns}
    assert ids is not None
    assert [key_by_id[id_] for id_ in ids] == [one.observation.key for one in rows]


def test_row_ids_go_on_after_rows_of_the_same_transaction(session: Session) -> None:
    log, rows = log_of(session, "binary"), scored("binary", mixed_ids(30))

    def append_twice() -> tuple[Any, Any]:
        log.append([rows[:10]])
        return log.append_columns(by_column(rows[10:20])), log.append_columns(by_column(rows[20:]))

    first, second = session.run(append_twice)

    key_by_id = {row["id"]: row["observation_id"] for row in stored(session)}
    assert [key_by_id[id_] for id_ in [*first, *second]] == [one.observation.key for one in rows[10:]]


@pytest.mark.parametrize("place", [0, 1, 511, 512, 599])
def test_an_array_with_a_known_id_stores_nothing_and_the_transaction_goes_on(session: Session, place: int) -> None:
    log, rows = log_of(session, "binary"), scored("binary", list(range(1000, 1600)))
    session.run(lambda: log.append([rows[place : place + 1]]))
    others = scored("binary", ["before", "after", "last"])

    def append_all() -> tuple[Any, ...]:
        before = log.append([others[:1]])
        refused = log.append_columns(by_column(rows))
        return before, refused, log.append([others[1:2]]), log.append_columns(by_column(others[2:]))

    _, refused, _, taken = session.run(append_all)

    assert refused is None
    assert taken is not None
    found = [row["observation_id"] for row in stored(session)]
    assert found == [str(1000 + place), '"before"', '"after"', '"last"']


def test_the_same_array_again_stores_nothing_and_the_old_way_replays_it(session: Session) -> None:
    log, rows = log_of(session, "regression"), scored("regression", mixed_ids(600))
    ids = session.run(lambda: log.append_columns(by_column(rows)))
    before = stored(session)

    again = session.run(lambda: log.append_columns(by_column(rows)))
    (entries,), _, _ = log.commit([rows], [], [])

    assert again is None
    assert isinstance(entries, list)
    assert all(entry.replayed for entry in entries)
    assert [entry.record.id for entry in entries] == ids
    assert stored(session) == before


def test_a_value_that_the_database_refuses_stores_nothing(session: Session) -> None:
    log, rows = log_of(session, "binary"), by_column(scored("binary", mixed_ids(600)))
    assert rows.proba is not None
    no_number: Any = [*rows.proba[:-1], "no number"]

    refused = session.run(lambda: log.append_columns(rows._replace(proba=no_number)))

    assert refused is None
    assert stored(session) == []


@pytest.fixture
def postgresql_session(postgresql_url: str) -> Iterator[Session]:
    prepare(connect(postgresql_url))
    session = Session(connect(postgresql_url))
    yield session
    session.close()


@pytest.fixture
def rival(postgresql_session: Session, postgresql_url: str) -> Iterator[Rival]:
    rival = Rival(postgresql_url)
    yield rival
    rival.close()


@pytest.mark.parametrize("column", ["observation_id", "observation", "predicted_class"])
@pytest.mark.parametrize("place", [0, 5, 9])
def test_a_text_with_a_line_break_shifts_no_other_one(postgresql_session: Session, column: str, place: int) -> None:
    log = log_of(postgresql_session, "binary")
    rows = by_column(scored("binary", [f"id {i}" for i in range(10)]))
    texts = list(getattr(rows, column))
    texts[place] = "{\n}"

    refused = postgresql_session.run(lambda: log.append_columns(rows._replace(**{column: texts})))

    assert refused is None
    assert stored(postgresql_session) == []


def test_a_repeated_array_is_no_error_in_the_log_of_the_server(
    postgresql_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, rows = log_of(postgresql_session, "binary"), by_column(scored("binary", mixed_ids(100)))
    postgresql_session.run(lambda: log.append_columns(rows))
    statements, failed = failures(postgresql_session, monkeypatch)

    assert postgresql_session.run(lambda: log.append_columns(rows)) is None

    assert any(statement.startswith("INSERT") for statement in statements)
    assert failed == []


def failures(session: Session, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The statements of the session from now on, and those of them that fail."""
    execute: Any = session.database.execute_sql
    statements: list[str] = []
    failed: list[str] = []

    def execute_sql(sql: str, *parameters: Any) -> Any:
        statements.append(sql)
        try:
            return execute(sql, *parameters)
        except Exception:
            failed.append(sql)
            raise

    monkeypatch.setattr(session.database, "execute_sql", execute_sql)
    return statements, failed


def test_rows_are_inserted_in_the_order_of_their_ids(postgresql_session: Session, rival: Rival) -> None:
    log, rows = log_of(postgresql_session, "regression"), by_column(scored("regression", list(UNSORTED)))
    rival.insert(IDS[-1])

    with stopped(rival, lambda: postgresql_session.run(lambda: log.append_columns(rows))) as writer:
        inserted = [id_ for id_ in IDS[:-1] if rival.finds_inserted(id_)]
        writer.go_on()

    assert inserted == IDS[:-1]
    assert len(stored(postgresql_session)) == len(IDS)


def test_an_array_that_waited_for_one_of_its_ids_stores_nothing(postgresql_session: Session, rival: Rival) -> None:
    log, rows = log_of(postgresql_session, "regression"), by_column(scored("regression", list(UNSORTED)))
    rival.insert(IDS[-1])
    outcomes: list[Any] = []

    with stopped(rival, lambda: outcomes.append(postgresql_session.run(lambda: log.append_columns(rows)))) as writer:
        rival.commit()
        writer.go_on()

    assert outcomes == [None]
    assert [row["observation_id"] for row in stored(postgresql_session)] == [key_of(IDS[-1])]


def append_overlapping(url: str, seed: int) -> tuple[int, int]:
    """Appends arrays that overlap with those of other writers; returns how many rows it stored by column, and how many
    item by item."""
    session = Session(connect(url))
    log, chance = log_of(session, "regression"), random.Random(seed)
    everything = scored("regression", list(range(1000)))
    by_columns = one_by_one = 0
    for i in range(40):
        first = 20 * i + chance.randrange(15)
        rows = everything[first : first + 30]
        chance.shuffle(rows)
        ids = session.run(partial(log.append_columns, by_column(rows))) if chance.random() < 0.7 else None
        if ids is not None:
            by_columns += len(ids)
            continue
        (entries,) = session.run(partial(log.append, [rows]))
        assert isinstance(entries, list)
        one_by_one += sum(not entry.replayed for entry in entries)
    session.close()
    return by_columns, one_by_one


def test_writers_with_overlapping_arrays_do_not_deadlock(database_url: str) -> None:
    prepare(connect(database_url))
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(append_overlapping, database_url, seed) for seed in range(3)]
        counts = [each.result(WAIT_SECONDS) for each in running]

    with connect(database_url) as database:
        assert Prediction.select().count(database) == sum(map(sum, counts))
    assert sum(by_columns for by_columns, _ in counts) > 0
    if database_url.startswith("postgresql"):
        with psycopg.connect(database_url) as server:
            found = server.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            assert found.fetchone() == (0,)
