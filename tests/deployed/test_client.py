"""The client and the real service: nothing is lost or doubled while the service restarts, and long inputs are sent."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from peewee import Database

from service.client import Client, Conflict, NotFound, Prediction, Refused
from service.storage.connection import connect
from service.storage.tables import Prediction as Row
from tests.support.passengers import PASSENGER, PROBA, all_passengers
from tests.support.served import Served, free_port, serve
from tests.support.waiting import until

pytestmark = pytest.mark.long

SENDERS = 49
AT_ONCE = 5
PASSENGERS = all_passengers()


def rows(database_url: str) -> list[Any]:
    database: Database
    with connect(database_url) as database:
        return list(Row.select().order_by(Row.id).execute(database))


def observation(number: int) -> dict[str, Any]:
    return PASSENGERS[number % len(PASSENGERS)]


def label(number: int) -> bool:
    return number % 3 == 0


class Senders:
    """Forty-nine threads that share a client with a timeout of 5 s until `finish`. Each predicts ids of its own, one
    alone and then five at once, and labels them. `answers` has the predictions so far by id."""

    def __init__(self, url: str) -> None:
        self.answers: dict[int, Prediction] = {}
        self._is_over = Event()
        self._client = Client(url, timeout=5.0, patience=120.0)
        self._pool = ThreadPoolExecutor(SENDERS)
        self._running = [self._pool.submit(self._send, sender) for sender in range(SENDERS)]

    def wait_for_more(self) -> None:
        """Returns after 500 more answers. Raises what a sender raised."""
        wanted = len(self.answers) + 500
        until(lambda: len(self.answers) >= wanted or any(each.done() for each in self._running))
        for each in self._running:
            if each.done():
                each.result()

    def finish(self) -> None:
        """Returns when every sender has its last answer. Raises what a sender raised."""
        self._is_over.set()
        for each in self._running:
            each.result()

    def close(self) -> None:
        """Ends the senders."""
        self._is_over.set()
        self._pool.shutdown()
        self._client.close()

    def _send(self, number: int) -> None:
        client = self._client
        while not self._is_over.is_set():
            first, *others = range(number, number + SENDERS * (1 + AT_ONCE), SENDERS)
            number += SENDERS * (1 + AT_ONCE)
            self.answers[first] = client.predict(first, observation(first))
            found = client.predict_many((id_, observation(id_)) for id_ in others)
            self.answers.update(zip(others, found, strict=True))
            assert client.update(first, label(first)).true_class is label(first)
            assert client.update_many((id_, label(id_)) for id_ in others) == AT_ONCE


def terminate(served: Served) -> None:
    served.process.terminate()
    served.process.wait(60)


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_through_two_restarts(tmp_path: Path, database_url: str) -> None:
    port = free_port()
    with closing(Senders(f"http://127.0.0.1:{port}")) as senders:
        for end in (terminate, Served.kill):
            with serve(tmp_path, database_url, port=port) as served:
                senders.wait_for_more()
                end(served)
        with serve(tmp_path, database_url, port=port):
            senders.wait_for_more()
            senders.finish()

    stored = rows(database_url)
    answered = {(found.id, id_, found.proba, label(id_)) for id_, found in senders.answers.items()}
    assert len(stored) == len(senders.answers) >= 1500
    assert {(row.id, int(row.observation_id), row.proba, json.loads(row.true_class)) for row in stored} == answered


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for the tests below. Each has ids of its own."""
    folder = tmp_path_factory.mktemp("client")
    with serve(folder, f"sqlite:///{folder}/log.db", variables={"MAX_ITEMS": "300"}) as served:
        yield served


def test_the_answers_of_the_service_are_typed(served: Served) -> None:
    with Client(served.url) as client:
        first, again = client.predict("a", PASSENGER), client.predict("a", {**PASSENGER, "Cabin": float("nan")})
        updated = client.update("a", 1)
        with pytest.raises(Conflict) as conflict:
            client.predict("a", {**PASSENGER, "Age": 23})
        with pytest.raises(NotFound) as unknown:
            client.update("b", 1)
        name = client.get("/model").body["name"]

    assert first.proba == pytest.approx(PROBA, abs=1e-4)
    assert (first.predicted_class, first.true_class, first.replayed, again.replayed) == (False, None, False, True)
    assert (updated.id, updated.true_class, updated.observation) == (first.id, True, PASSENGER)
    assert (conflict.value.faults[0].value, unknown.value.faults[0].value) == ("a", "b")
    assert name == "titanic"


def test_a_long_input_is_sent_in_chunks_that_the_service_takes(served: Served) -> None:
    with Client(served.url) as client:
        found = list(client.predict_many((i, observation(i)) for i in range(2000)))
        labelled = client.update_many((i, False) for i in range(2000))
        again = list(client.predict_many((i, observation(i)) for i in range(2000)))

    assert [answer.observation_id for answer in found] == list(range(2000))
    assert labelled == 2000
    assert [(answer.id, answer.proba) for answer in again] == [(answer.id, answer.proba) for answer in found]
    assert {answer.replayed for answer in again} == {True}


def test_a_bad_item_of_a_long_input_is_named_and_what_stands_before_it_is_stored(served: Served) -> None:
    changes: dict[int, dict[str, Any]] = {703: {"Age": "twenty"}, 711: {"Agee": 1}}
    items = [(f"bad-{i}", {**observation(i), **changes.get(i, {})}) for i in range(1000)]
    found: list[Prediction] = []
    with Client(served.url) as client:
        with pytest.raises(Refused) as raised:
            found.extend(client.predict_many(items, chunk=100))
        again = client.predict(*items[699])
        with pytest.raises(NotFound):
            client.update("bad-700", True)

    error = raised.value
    assert (error.status, error.stored, len(found)) == (422, 700, 700)
    assert [fault.pointer for fault in error.faults] == ["/703/observation/Age", "/711/observation/Agee"]
    assert error.detail.startswith('item 703: Age: expected a number from 0 to 120 or null; got "twenty"; item 711: ')
    assert again.replayed is True


def test_an_input_with_more_bytes_than_the_service_takes_is_sent_in_smaller_chunks(tmp_path: Path) -> None:
    with (
        serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"MAX_ARRAY_BYTES": "1048576"}) as served,
        Client(served.url) as client,
    ):
        found = list(client.predict_many(((i, observation(i)) for i in range(9000)), chunk=9000))

    assert [answer.observation_id for answer in found] == list(range(9000))
