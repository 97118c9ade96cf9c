"""Erasing removes a row with its labels and frees its id; a purge runs beside the service."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from peewee import Database

from service.storage.connection import connect
from service.storage.deletion import Erasure
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import Client, MakeClient
from tests.support.filled import fill, insert
from tests.support.passengers import PASSENGER, prediction
from tests.support.served import serve

ADMIN = {"X-API-Key": "the-key-of-an-admin"}
THEN = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def client(make_client: MakeClient, database_url: str) -> Client:
    return make_client(database_url=database_url, admin_key=(ADMIN["X-API-Key"],))


def erase(client: Client, query: str) -> Any:
    return client.delete("/predictions?" + query, headers=ADMIN)


def kept(database_url: str) -> tuple[list[str], int]:
    database = connect(database_url)
    with database.connection_context():
        ids = [row.observation_id for row in Prediction.select().order_by(Prediction.id).execute(database)]
        return ids, LabelCorrection.select().count(database)


def test_an_erased_row_is_returned_with_its_corrections_and_removed(client: Client, database_url: str) -> None:
    for id_ in (0, "0", 1):
        client.post("/predict", json=prediction(id_))
        for true_class in (1, 0, 1):
            client.post("/update", json={"id": id_, "true_class": true_class})
    listed = client.get("/predictions?observation_id=0", headers=ADMIN).json["predictions"][0]

    response = erase(client, "observation_id=0")

    assert response.status_code == 200
    assert {name: value for name, value in response.json.items() if name != "corrections"} == listed
    assert listed["observation"] == PASSENGER
    assert [one["replaced_class"] for one in response.json["corrections"]] == [True, False]
    assert kept(database_url) == (['"0"', "1"], 4)


def test_an_erased_id_can_be_used_again(client: Client) -> None:
    client.post("/predict", json=prediction("a"))
    erase(client, "observation_id=a")

    assert client.post("/update", json={"id": "a", "true_class": 1}).status_code == 404
    again = client.post("/predict", json=prediction("a", Age=50))

    assert again.status_code == 200
    assert "Idempotent-Replayed" not in again.headers
    assert again.json["true_class"] is None


@pytest.mark.parametrize("id_", ["0", "abc", "null"])
def test_an_unknown_id_is_404(client: Client, id_: str) -> None:
    client.post("/predict", json=prediction("0"))

    response = erase(client, f"observation_id={id_}")

    assert response.status_code == 404
    assert response.json["error"] == f"Observation ID: {id_} does not exist"
    assert response.json["errors"][0]["pointer"] == "/observation_id"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", ["observation_id"]),
        ("observation_id=", ["observation_id"]),
        ("observation_id=%00", ["observation_id"]),
        ("observation_id=0&observation_id=1", ["observation_id"]),
        ("observation_id=0&labelled=true", ["labelled"]),
        ("id=0", ["id", "observation_id"]),
    ],
)
def test_a_missing_or_invalid_id_erases_nothing(
    client: Client, database_url: str, query: str, named: list[str]
) -> None:
    client.post("/predict", json=prediction(0))

    response = erase(client, query)

    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json["errors"]] == [f"/{name}" for name in named]
    assert kept(database_url) == (["0"], 0)


@pytest.mark.long
def test_one_of_many_concurrent_requests_erases_the_row_and_a_kill_does_not_undo_it(
    tmp_path: Path, database_url: str
) -> None:
    with serve(tmp_path, database_url, variables={"ADMIN_KEY": ADMIN["X-API-Key"]}) as served:
        served.post("/predict", [prediction(id_) for id_ in (0, "kept")])
        url = served.url + "/predictions?observation_id=0"
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: served.session.delete(url, headers=ADMIN, timeout=20), range(20)))
        served.kill()

    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 19
    assert kept(database_url) == (['"kept"'], 0)


@pytest.fixture
def erasure(database: Database, database_url: str) -> Erasure:
    session = Session(connect(database_url))
    return Erasure(session, log_reader(session.database))


def test_a_purge_erases_older_rows_with_their_corrections(
    erasure: Erasure, database: Database, database_url: str
) -> None:
    fill(database_url, 1200)
    young = insert(database, '"young"', created_at=THEN)
    old = insert(database, '"old"', created_at=datetime(2026, 1, 1, tzinfo=UTC))
    for id_ in (young, old):
        LabelCorrection.insert(prediction=id_, labelled_at=THEN, replaced_at=THEN).execute(database)

    counted = erasure.count_before(THEN)
    erased = list(erasure.erase_before(THEN))

    assert counted == sum(erased) == 1201
    assert max(erased) == 500
    assert kept(database_url) == (['"young"'], 1)
    assert list(erasure.erase_before(THEN)) == [0]


@pytest.mark.long
def test_a_purge_runs_beside_the_service(tmp_path: Path, erasure: Erasure, database_url: str) -> None:
    fill(database_url, 6_000)
    with serve(tmp_path, database_url) as served, ThreadPoolExecutor(8) as pool:
        purge = pool.submit(lambda: sum(erasure.erase_before(THEN)))
        numbers = iter(range(1_000_000, 2_000_000))
        slowest, acknowledged = 0.0, []
        while not purge.done():
            number = next(numbers)
            answer = served.post("/predict", prediction(number))
            assert answer.status_code == 200
            slowest = max(slowest, answer.elapsed.total_seconds())
            acknowledged.append(number)

    assert purge.result() == 6_000
    assert len(acknowledged) > 10
    assert slowest < 2
    assert [json.loads(key) for key in kept(database_url)[0]] == acknowledged
