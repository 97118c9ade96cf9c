"""The use cases without HTTP: what a model refuses fails for its own request only."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serialize.signature import Column, Signature
from serialize.task import Outputs, Task
from service.batching import Batcher
from service.errors import InvalidBody
from service.prediction.observation import ObservationParser
from service.prediction.scoring import Scorer
from service.prediction.service import PredictionService
from service.prediction.true_label import LabelParser
from service.storage.connection import connect, prepare
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from tests.support.waiting import WAIT_SECONDS, until

TASK = Task("regression")


def outputs(rows: Sequence[Mapping[str, Any]]) -> Outputs:
    """A model that returns x, refuses the number 13 and runs out of memory at 14."""
    if any(row["x"] == 13 for row in rows):
        raise ValueError("unlucky")
    if any(row["x"] == 14 for row in rows):
        raise MemoryError
    return np.array([[float(row["x"])] for row in rows])


def body(x: int) -> dict[str, Any]:
    """A body of /predict whose id and only value are x."""
    return {"id": x, "observation": {"x": x}}


class Gate:
    """Runs jobs, and holds each of them back until it is opened."""

    def __init__(self) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        self.waiting = 0

    def run(self, job: Callable[[], Any]) -> Any:
        self.reached.set()
        assert self.opened.wait(WAIT_SECONDS)
        return job()

    def note(self, waiting: int) -> None:
        self.waiting = waiting


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    url = f"sqlite:///{tmp_path}/log.db"
    prepare(connect(url))
    session = Session(connect(url))
    yield session
    session.close()


@pytest.fixture
def flow(gate: Gate, session: Session) -> PredictionService:
    return PredictionService(
        ObservationParser(Signature("frame", (Column("x", "integer", False, "int64"),))),
        LabelParser(TASK),
        Scorer(TASK, outputs),
        PredictionLog(session, "a" * 12, None, regression=True).commit,
        lambda process: Batcher(process, gate.run, max_pending=100, timeout=WAIT_SECONDS, on_queue_depth=gate.note),
        100,
        lambda requests, seconds, classes: None,
    )


def stored(session: Session) -> list[float]:
    rows = session.run(lambda: session.database.execute_sql("SELECT predicted_value FROM prediction").fetchall())
    return sorted(value for (value,) in rows)


def pointers(error: InvalidBody) -> list[str]:
    return [fault.pointer for fault in error.faults]


def test_an_array_with_items_that_the_model_refuses_names_them_and_is_not_stored(
    flow: PredictionService, gate: Gate, session: Session
) -> None:
    gate.opened.set()

    with pytest.raises(InvalidBody) as refused:
        flow.predict([body(12), body(13), body(15), {"id": "again", "observation": {"x": 13}}])

    assert pointers(refused.value) == ["/1/observation", "/3/observation"]
    assert stored(session) == []


def test_a_single_observation_that_the_model_refuses_is_named_without_a_place(
    flow: PredictionService, gate: Gate
) -> None:
    gate.opened.set()

    with pytest.raises(InvalidBody) as refused:
        flow.predict(body(13))

    assert pointers(refused.value) == ["/observation"]


def test_a_failure_of_the_model_that_is_not_about_the_values_is_raised_as_it_is(
    flow: PredictionService, gate: Gate
) -> None:
    gate.opened.set()

    with pytest.raises(MemoryError):
        flow.predict([body(13), body(14)])


def test_of_requests_in_one_batch_only_those_with_refused_values_fail(
    flow: PredictionService, gate: Gate, session: Session
) -> None:
    requests: list[Any] = [body(12), body(13), [body(20), body(21)], [body(22), {"id": 0, "observation": {"x": 13}}]]

    with ThreadPoolExecutor(len(requests) + 1) as pool:
        leader = pool.submit(flow.predict, body(1))
        assert gate.reached.wait(WAIT_SECONDS)
        answers = [pool.submit(flow.predict, request) for request in requests]
        until(lambda: gate.waiting == len(requests))
        gate.opened.set()
        failed = [answer.exception(WAIT_SECONDS) for answer in answers]

    assert leader.result().body["predicted_value"] == 1
    assert [type(error) for error in failed] == [type(None), InvalidBody, type(None), InvalidBody]
    assert [pointers(error) for error in failed if isinstance(error, InvalidBody)] == [
        ["/observation"],
        ["/1/observation"],
    ]
    assert answers[0].result().body["predicted_value"] == 12
    assert [each["predicted_value"] for each in answers[2].result().body] == [20, 21]
    assert stored(session) == [1, 12, 20, 21]
