"""The tests of batcher, pacing and metrics that need greenlets. test_batching runs them in a process that gevent has
patched."""

import time
from pathlib import Path

import gevent
import pytest
from gevent import monkey

from service.batching import Batcher, run_in_hub_threadpool
from service.errors import Unavailable
from service.pacing import Paced
from service.telemetry.metrics import Metrics
from service.telemetry.multiprocess_dir import MultiprocessDir
from tests.service.test_batching import Gate, doubled
from tests.support.waiting import WAIT_SECONDS, until


def batcher(gate: Gate) -> Batcher[int, int]:
    return Batcher(gate, run_in_hub_threadpool, max_pending=100, timeout=WAIT_SECONDS)


def test_the_loop_goes_on_while_a_batch_is_processed() -> None:
    def blocking(items: list[int]) -> list[int | Exception]:
        monkey.get_original("time", "sleep")(0.2)
        return doubled(items)

    serving: Batcher[int, int] = Batcher(blocking, run_in_hub_threadpool, max_pending=100, timeout=WAIT_SECONDS)
    caller = gevent.spawn(serving.submit, 1)
    ticks = 0
    while not caller.ready():
        time.sleep(0.01)
        ticks += 1

    assert caller.get() == 2
    assert ticks > 5


def test_a_paced_job_waits_until_the_loop_is_idle_but_not_for_ever() -> None:
    paced, order, stop = Paced(run_in_hub_threadpool), list[str](), [False]
    for _ in range(20):
        paced.note_batch()

    def predictions() -> None:
        while not stop[0]:
            order.append("prediction")
            gevent.sleep(0)

    busy = gevent.spawn(predictions)
    began = time.monotonic()
    paced(lambda: order.append("read"))
    waited = time.monotonic() - began
    stop[0] = True
    busy.join()

    assert 0.4 < waited < WAIT_SECONDS
    assert order.index("read") > 100


def test_a_killed_leader_waits_for_its_batch_and_serves_its_followers() -> None:
    gate = Gate()
    serving = batcher(gate)
    leader = gevent.spawn(serving.submit, 0)
    until(lambda: bool(gate.batches))
    follower = gevent.spawn(serving.submit, 1)
    until(lambda: len(serving._waiting) == 1)

    leader.kill(block=False)
    gevent.sleep(0.05)
    assert len(gate.batches) == 1
    gate.is_open = True

    assert follower.get(timeout=WAIT_SECONDS) == 2
    assert isinstance(leader.get(timeout=WAIT_SECONDS), gevent.GreenletExit)
    assert serving.submit(2) == 4


def test_a_killed_follower_removes_its_item() -> None:
    gate = Gate()
    serving = batcher(gate)
    leader = gevent.spawn(serving.submit, 0)
    until(lambda: bool(gate.batches))
    follower = gevent.spawn(serving.submit, 1)
    until(lambda: len(serving._waiting) == 1)

    follower.kill()
    gate.is_open = True

    assert leader.get(timeout=WAIT_SECONDS) == 0
    assert gate.batches == [[0]]
    assert serving.submit(2) == 4


def test_a_successor_killed_before_it_leads_passes_the_lead_on() -> None:
    gate = Gate()
    serving = batcher(gate)
    leader = gevent.spawn(serving.submit, 0)
    until(lambda: bool(gate.batches))
    successor, last = gevent.spawn(serving.submit, 1), gevent.spawn(serving.submit, 2)
    until(lambda: len(serving._waiting) == 2)
    gate.is_open = True
    leader.rawlink(lambda _: successor.kill(block=False))

    assert leader.get(timeout=WAIT_SECONDS) == 0
    assert last.get(timeout=WAIT_SECONDS) == 4
    assert serving.submit(3) == 6


def test_a_caller_that_times_out_does_not_delay_the_others() -> None:
    gate = Gate()
    serving: Batcher[int, int] = Batcher(gate, run_in_hub_threadpool, max_pending=100, timeout=0.05)
    leader = gevent.spawn(serving.submit, 0)
    until(lambda: bool(gate.batches))

    with pytest.raises(Unavailable):
        serving.submit(1)
    gate.is_open = True

    assert leader.get(timeout=WAIT_SECONDS) == 0
    assert serving.submit(2) == 4


def test_the_metrics_count_exactly_with_greenlets_and_threads(tmp_path: Path) -> None:
    metrics = Metrics(lambda path: path, tuple)
    metrics.add_model("v", {True: "true", False: "false"})
    metrics.share(MultiprocessDir.make(tmp_path))

    def count(pause: bool) -> None:
        for i in range(3000):
            metrics.request(f"/{i % 50}", "GET", "200", 0.001)
            metrics.batch(1, 0.001, {("v", i % 2 == 0): 1})
            metrics.waiting(i)
            if pause and i % 10 == 0:
                gevent.sleep(0)

    pool = gevent.get_hub().threadpool
    counting = [pool.spawn(count, False) for _ in range(4)] + [gevent.spawn(count, True) for _ in range(4)]
    assert len(gevent.wait(counting, timeout=60)) == 8
    lines = metrics.render().splitlines()
    metrics.close()

    assert sum(float(line.split()[1]) for line in lines if line.startswith("prediction_service_requests_tot")) == 24_000
    for predicted in ("false", "true"):
        label = f'{{model_version="v",predicted_class="{predicted}"}}'
        assert f"prediction_service_predictions_total{label} 12000.0" in lines
    assert "prediction_service_batch_size_sum 24000.0" in lines
