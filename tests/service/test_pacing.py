"""Paced jobs rest and pause while predictions are many. test_batching runs these tests with greenlets too."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.batching import run_here, runner
from service.pacing import Paced, give_way
from tests.conftest import Client, MakeClient
from tests.support.passengers import prediction


class Clock:
    """Stands in for `time`: a sleep passes at once, and is noted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("service.pacing.time", clock)
    monkeypatch.setattr("service.pacing._native_sleep", clock.sleep)
    return clock


def predict(paced: Paced, batches: int) -> None:
    for _ in range(batches):
        paced.note_batch()


def test_a_job_rests_after_the_last_one_while_there_are_many_predictions(clock: Clock) -> None:
    paced = Paced(run_here)

    predict(paced, 20)
    paced(lambda: clock.sleep(0.1))
    paced(lambda: clock.sleep(0.1))
    clock.now += 0.15
    paced(lambda: None)

    assert clock.slept == pytest.approx([0.0, 0.1, 0.2, 0.1, 0.05])


def test_a_job_pauses_ten_times_as_long_as_it_works_while_there_are_many_predictions(clock: Clock) -> None:
    paced = Paced(run_here)

    def job() -> None:
        for worked in (0.0005, 0.0006, 0.004, 0.5):
            clock.now += worked
            give_way()
            if worked == 0.0006:
                predict(paced, 20)

    paced(job)
    assert clock.slept == pytest.approx([10 * 0.0051, 0.1])

    clock.now += 2.0
    paced(give_way)
    give_way()
    assert len(clock.slept) == 2


def test_a_job_does_not_rest_while_there_are_few_predictions(clock: Clock) -> None:
    paced = Paced(run_here)

    predict(paced, 19)
    assert [paced(lambda: 1), paced(lambda: 2)] == [1, 2]
    assert clock.slept == []

    predict(paced, 1)
    paced(lambda: 3)
    assert clock.slept == pytest.approx([0.2])

    clock.now += 1.0
    paced(lambda: 4)
    assert len(clock.slept) == 1


def test_paced_jobs_run_one_at_a_time_and_raise_their_own_errors() -> None:
    paced, running, most = Paced(runner()), [0], [0]

    def job(number: int) -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.002)
        running[0] -= 1
        if number % 2:
            raise ValueError(number)
        return number

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(paced, lambda i=i: job(i)) for i in range(16)]  # type: ignore[misc]
        errors = [str(each.exception()) for each in found[1::2]]

    assert [each.result() for each in found[::2]] == list(range(0, 16, 2))
    assert errors == [str(i) for i in range(1, 16, 2)]
    assert most == [1]


def busy_client(make_client: MakeClient) -> Client:
    client = make_client(admin_key=("k",))
    for i in range(20):
        assert client.post("/predict", json=prediction(i)).status_code == 200
    return client


@pytest.mark.parametrize("path", ["/performance", "/drift", "/predictions", "/metrics"])
def test_every_read_is_paced(make_client: MakeClient, clock: Clock, path: str) -> None:
    client = busy_client(make_client)
    for _ in range(2):
        assert client.get(path, headers={"X-API-Key": "k"}).status_code == 200

    assert max(clock.slept) > 0


def test_predictions_and_health_checks_are_not_paced(make_client: MakeClient, clock: Clock) -> None:
    client = busy_client(make_client)
    assert client.get("/drift").status_code == 200
    clock.slept.clear()

    assert client.post("/predict", json=prediction(20)).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/livez").status_code == 200

    assert clock.slept == []
