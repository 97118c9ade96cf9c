"""The use cases without HTTP: if the model refuses values, only their own request fails."""

import json
import threading
from collections import Counter
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
from service.prediction.arrays.encoded_body import EncodedBody
from service.prediction.arrays.label_array import LabelArrayParser
from service.prediction.arrays.observation_array import ColumnParser
from service.prediction.batches import Batches, Outcome, ServedModel, Work
from service.prediction.observation import ObservationParser
from service.prediction.scoring import Scorer
from service.prediction.service import PredictionService
from service.prediction.true_label import LabelParser
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from tests.support.by_column import of_columns
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
    """A body of /predict with x as its id and its only value."""
    return {"id": x, "observation": {"x": x}}


def array(*values: int) -> EncodedBody:
    """An encoded array of such bodies."""
    items = [body(x) for x in values]
    return EncodedBody(json.dumps(items).encode(), True, lambda: items)


class HeldRunner:
    """Runs jobs, but holds each one back until `opened` is set."""

    def __init__(self) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        self.waiting = 0
        self.ways: list[str] = []
        self.counted: Counter[Any] = Counter()

    def run(self, job: Callable[[], Any]) -> Any:
        self.reached.set()
        assert self.opened.wait(WAIT_SECONDS)
        return job()

    def on_queue_depth(self, waiting: int) -> None:
        self.waiting = waiting

    def on_array(self, path: str, way: str) -> None:
        self.ways.append(way)


@pytest.fixture
def runner() -> HeldRunner:
    return HeldRunner()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    url = f"sqlite:///{tmp_path}/log.db"
    prepare(connect(url))
    session = Session(connect(url))
    yield session
    session.close()


@pytest.fixture
def service(runner: HeldRunner, session: Session) -> PredictionService:
    return services(session, runner, "a" * 12)[0]


def services(session: Session, runner: HeldRunner, *versions: str) -> list[PredictionService]:
    """Services of models that differ in their version, with one queue."""
    batches = Batches(session.run, lambda requests, seconds, classes: runner.counted.update(classes))
    batcher: Batcher[Work, Outcome] = Batcher(
        batches.process, runner.run, max_pending=100, timeout=WAIT_SECONDS, on_queue_depth=runner.on_queue_depth
    )
    return [
        PredictionService(served(session, version), batcher, 100, lambda job: job(), runner.on_array)
        for version in versions
    ]


def served(session: Session, version: str) -> ServedModel:
    signature = Signature("frame", (Column("x", "integer", False, "int64"),))
    return ServedModel(
        version,
        ObservationParser(signature),
        ColumnParser(signature),
        LabelParser(TASK),
        LabelArrayParser(TASK),
        Scorer(TASK, outputs, lambda rows: np.zeros(len(rows), dtype=int), of_columns(outputs)),
        PredictionLog(session, version, None, regression=True),
    )


def stored(session: Session) -> list[float]:
    rows = session.run(lambda: session.database.execute_sql("SELECT predicted_value FROM prediction").fetchall())
    return sorted(value for (value,) in rows)


def pointers(error: InvalidBody) -> list[str]:
    return [fault.pointer for fault in error.faults]


def test_an_array_with_refused_items_reports_them_and_is_not_stored(
    service: PredictionService, runner: HeldRunner, session: Session
) -> None:
    runner.opened.set()

    with pytest.raises(InvalidBody) as refused:
        service.predict([body(12), body(13), body(15), {"id": "again", "observation": {"x": 13}}])

    assert pointers(refused.value) == ["/1/observation", "/3/observation"]
    assert stored(session) == []


def test_the_fault_of_a_single_observation_has_no_array_index(service: PredictionService, runner: HeldRunner) -> None:
    runner.opened.set()

    with pytest.raises(InvalidBody) as refused:
        service.predict(body(13))

    assert pointers(refused.value) == ["/observation"]


def test_an_unexpected_exception_of_the_model_is_raised_unchanged(
    service: PredictionService, runner: HeldRunner
) -> None:
    runner.opened.set()

    with pytest.raises(MemoryError):
        service.predict([body(13), body(14)])


def test_only_the_requests_with_refused_values_fail_in_a_batch(
    service: PredictionService, runner: HeldRunner, session: Session
) -> None:
    requests: list[Any] = [body(12), body(13), [body(20), body(21)], [body(22), {"id": 0, "observation": {"x": 13}}]]

    with ThreadPoolExecutor(len(requests) + 1) as pool:
        leader = pool.submit(service.predict, body(1))
        assert runner.reached.wait(WAIT_SECONDS)
        answers = [pool.submit(service.predict, request) for request in requests]
        until(lambda: runner.waiting == len(requests))
        runner.opened.set()
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


def test_a_batch_with_work_for_two_models_is_scored_by_each_and_stored_together(
    runner: HeldRunner, session: Session
) -> None:
    old, new = services(session, runner, "a" * 12, "b" * 12)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(old.predict, body(1))
        assert runner.reached.wait(WAIT_SECONDS)
        later = [pool.submit(service.predict, body(x)) for service, x in ((old, 2), (new, 3), (old, 13), (new, 5))]
        until(lambda: runner.waiting == 4)
        runner.opened.set()
        answers = [each.result(WAIT_SECONDS) for each in (first, later[0], later[1], later[3])]
        with pytest.raises(InvalidBody):
            later[2].result(WAIT_SECONDS)

    assert [answer.body["predicted_value"] for answer in answers] == [1.0, 2.0, 3.0, 5.0]
    rows = session.run(
        lambda: session.database.execute_sql("SELECT observation_id, model_version FROM prediction").fetchall()
    )
    assert dict(rows) == {"1": "a" * 12, "2": "a" * 12, "3": "b" * 12, "5": "b" * 12}


def test_each_new_prediction_of_a_batch_is_counted_once(runner: HeldRunner, session: Session) -> None:
    one, again = services(session, runner, "a" * 12, "a" * 12)  # after a swap there and back
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(one.predict, body(1))
        assert runner.reached.wait(WAIT_SECONDS)
        later = [
            pool.submit(service.predict, payload)
            for service, payload in ((one, body(1)), (one, body(2)), (again, array(3, 4)), (again, body(5)))
        ]
        until(lambda: runner.waiting == 4)
        runner.opened.set()
        for answer in (first, *later):
            answer.result(WAIT_SECONDS)

    assert runner.counted == {("a" * 12, None): 5}


def test_only_the_array_with_refused_values_fails_in_a_batch_of_arrays(
    service: PredictionService, runner: HeldRunner, session: Session
) -> None:
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(service.predict, array(1, 2))
        assert runner.reached.wait(WAIT_SECONDS)
        answers = [pool.submit(service.predict, array(*values)) for values in ((3, 4, 5), (6, 13), (7,))]
        until(lambda: runner.waiting == 3)
        runner.opened.set()
        predicted = [json.loads(answer.result(WAIT_SECONDS).body) for answer in (leader, answers[0], answers[2])]
        with pytest.raises(InvalidBody) as refused:
            answers[1].result(WAIT_SECONDS)

    assert [[each["predicted_value"] for each in items] for items in predicted] == [[1, 2], [3, 4, 5], [7]]
    assert pointers(refused.value) == ["/1/observation"]
    assert stored(session) == [1, 2, 3, 4, 5, 7]
    assert sorted(runner.ways) == ["columns", "columns", "columns", "items"]


def test_an_array_with_an_id_that_another_request_of_its_batch_stores_is_answered_item_by_item(
    service: PredictionService, runner: HeldRunner, session: Session
) -> None:
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(service.predict, body(1))
        assert runner.reached.wait(WAIT_SECONDS)
        single = pool.submit(service.predict, body(2))
        until(lambda: runner.waiting == 1)
        arrays = [pool.submit(service.predict, array(2, 3)), pool.submit(service.predict, array(2, 3))]
        until(lambda: runner.waiting == 3)
        runner.opened.set()
        predicted = [answer.result(WAIT_SECONDS).body for answer in (leader, single)]
        several = [answer.result(WAIT_SECONDS).body for answer in arrays]

    assert [each["predicted_value"] for each in predicted] == [1, 2]
    assert [[each["predicted_value"] for each in items] for items in several] == [[2, 3], [2, 3]]
    assert stored(session) == [1, 2, 3]
    assert runner.ways == ["items", "items"]
