"""The batcher with plain functions: each caller gets its own result, none waits forever, the lead is never lost.

The tests use threads; the last one runs all of them again, and those of tests.support.greenlets, with greenlets."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from gevent import monkey

from service.batching import Batcher, Budget, OneAtATime, runner
from service.errors import Unavailable
from tests.support.passengers import PROJECT
from tests.support.waiting import WAIT_SECONDS, until


def batcher(
    process: Callable[[list[int]], list[int | Exception]], max_pending: int = 10_000, timeout: float = WAIT_SECONDS
) -> Batcher[int, int]:
    return Batcher(process, runner(), max_pending=max_pending, timeout=timeout)


def doubled(items: list[int]) -> list[int | Exception]:
    return [2 * item for item in items]


class Gate:
    """A process function that waits until it is open."""

    def __init__(self) -> None:
        self.is_open = False
        self.batches: list[list[int]] = []

    def __call__(self, items: list[int]) -> list[int | Exception]:
        self.batches.append(items)
        until(lambda: self.is_open)
        return doubled(items)


def test_a_single_caller_is_served_at_once() -> None:
    assert batcher(doubled).submit(21) == 42


def test_it_reports_the_queue_depth() -> None:
    gate, depths = Gate(), list[int]()
    serving: Batcher[int, int] = Batcher(
        gate, runner(), max_pending=100, timeout=WAIT_SECONDS, on_queue_depth=depths.append
    )

    with ThreadPoolExecutor(4) as pool:
        pool.submit(serving.submit, 0)
        until(lambda: bool(gate.batches))
        for i in (1, 2, 3):
            pool.submit(serving.submit, i)
        until(lambda: depths == [1, 2, 3])
        gate.is_open = True

    assert depths == [1, 2, 3, 0]


def test_a_thousand_callers_each_get_their_own_result() -> None:
    serving = batcher(doubled)
    items = [random.randrange(10**9) for _ in range(1000)]

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(serving.submit, items))

    assert answers == [2 * item for item in items]


def test_waiting_callers_are_processed_in_one_batch() -> None:
    gate = Gate()
    serving = batcher(gate)

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(serving.submit, 0)
        until(lambda: bool(gate.batches))
        others = [pool.submit(serving.submit, item) for item in range(1, 10)]
        until(lambda: len(serving._waiting) == 9)
        gate.is_open = True

        assert first.result(WAIT_SECONDS) == 0
        assert sorted(other.result(WAIT_SECONDS) for other in others) == [2 * item for item in range(1, 10)]
    assert [len(batch) for batch in gate.batches] == [1, 9]


def test_process_never_runs_twice_at_once() -> None:
    running = threading.Lock()

    def exclusive(items: list[int]) -> list[int | Exception]:
        assert running.acquire(blocking=False)
        try:
            return doubled(items)
        finally:
            running.release()

    serving = batcher(exclusive)
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(serving.submit, range(2000))) == [2 * item for item in range(2000)]


def test_an_exception_as_outcome_reaches_only_its_own_caller() -> None:
    def picky(items: list[int]) -> list[int | Exception]:
        return [ValueError(str(item)) if item % 3 == 0 else item for item in items]

    serving = batcher(picky)

    def ask(item: int) -> int | str:
        try:
            return serving.submit(item)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(300)))

    assert answers == [str(item) if item % 3 == 0 else item for item in range(300)]


def test_an_item_that_makes_a_batch_raise_fails_alone() -> None:
    gate = Gate()

    def fragile(items: list[int]) -> list[int | Exception]:
        gate(items)
        if 5 in items:
            raise ValueError("five")
        return doubled(items)

    serving = batcher(fragile)
    with ThreadPoolExecutor(10) as pool:
        pool.submit(serving.submit, 0)
        until(lambda: bool(gate.batches))
        futures = {item: pool.submit(serving.submit, item) for item in range(1, 9)}
        until(lambda: len(serving._waiting) == 8)
        gate.is_open = True

        with pytest.raises(ValueError, match="five"):
            futures.pop(5).result(WAIT_SECONDS)
        assert {item: future.result(WAIT_SECONDS) for item, future in futures.items()} == {
            item: 2 * item for item in futures
        }


def test_a_caller_over_the_limit_is_refused_at_once() -> None:
    gate = Gate()
    serving = batcher(gate, max_pending=2)

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(serving.submit, 0)]
        until(lambda: bool(gate.batches))
        futures += [pool.submit(serving.submit, item) for item in (1, 2)]
        until(lambda: len(serving._waiting) == 2)
        with pytest.raises(Unavailable) as refused:
            serving.submit(3)
        gate.is_open = True
        answers = [future.result(WAIT_SECONDS) for future in futures]

    assert refused.value.retry_after
    assert answers == [0, 2, 4]


def test_a_caller_is_refused_after_the_timeout_and_its_item_removed() -> None:
    gate = Gate()
    serving = batcher(gate, timeout=0.05)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(serving.submit, 0)
        until(lambda: bool(gate.batches))
        with pytest.raises(Unavailable):
            serving.submit(1)
        gate.is_open = True
        assert first.result(WAIT_SECONDS) == 0

    assert gate.batches == [[0]]
    assert serving.submit(2) == 4


def test_a_slow_process_serves_many_callers_in_few_batches() -> None:
    batches: list[int] = []

    def slow(items: list[int]) -> list[int | Exception]:
        batches.append(len(items))
        time.sleep(0.05)
        return doubled(items)

    serving = batcher(slow)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(serving.submit, range(100)))

    assert answers == [2 * item for item in range(100)]
    assert len(batches) < 20


def test_a_leader_that_is_interrupted_passes_the_lead_on() -> None:
    def interrupted(items: list[int]) -> list[int | Exception]:
        if 0 in items:
            raise KeyboardInterrupt
        return doubled(items)

    serving = batcher(interrupted)
    with pytest.raises(KeyboardInterrupt):
        serving.submit(0)

    assert serving.submit(1) == 2


class Interruption(BaseException):
    """Ends a leader. Like KeyboardInterrupt and GreenletExit, it is not an Exception."""


def test_the_followers_of_an_interrupted_leader_get_unavailable() -> None:
    gate = Gate()

    def interrupted(items: list[int]) -> list[int | Exception]:
        if 1 in items:
            raise Interruption
        return gate(items)

    serving = batcher(interrupted)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(serving.submit, 0)
        until(lambda: bool(gate.batches))
        leader = pool.submit(serving.submit, 1)
        until(lambda: len(serving._waiting) == 1)
        followers = [pool.submit(serving.submit, item) for item in (2, 3)]
        until(lambda: len(serving._waiting) == 3)
        gate.is_open = True

        assert first.result(WAIT_SECONDS) == 0
        assert isinstance(leader.exception(WAIT_SECONDS), Interruption)
        for follower in followers:
            with pytest.raises(Unavailable, match="is stopping"):
                follower.result(WAIT_SECONDS)

    assert serving.submit(4) == 8


def test_one_job_runs_at_a_time() -> None:
    one_at_a_time, running, most = OneAtATime(runner(), WAIT_SECONDS), list[int](), list[int]()

    def job() -> int:
        running.append(1)
        time.sleep(0.002)
        most.append(len(running))
        running.pop()
        return 7

    with ThreadPoolExecutor(8) as pool:
        assert [call.result() for call in [pool.submit(one_at_a_time, job) for _ in range(20)]] == [7] * 20

    assert set(most) == {1}


def test_a_job_raises_to_its_caller_and_the_next_one_runs() -> None:
    one_at_a_time = OneAtATime(runner(), WAIT_SECONDS)

    with pytest.raises(ZeroDivisionError):
        one_at_a_time(lambda: 1 // 0)

    assert one_at_a_time(lambda: 1) == 1


def test_a_caller_whose_turn_does_not_come_is_unavailable() -> None:
    one_at_a_time, gate = OneAtATime(runner(), 0.01), Gate()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(one_at_a_time, lambda: gate([1]))
        until(lambda: bool(gate.batches))
        with pytest.raises(Unavailable):
            one_at_a_time(lambda: 2)
        gate.is_open = True

        assert first.result() == [2]


def test_a_budget_serves_those_that_wait_in_their_order() -> None:
    budget, served = Budget(10, WAIT_SECONDS), list[int]()
    assert budget.take(10)
    assert not budget.take(1)

    def wait(count: int) -> None:
        assert budget.wait(count)
        served.append(count)

    with ThreadPoolExecutor(3) as pool:
        for position, count in enumerate((9, 1, 2), start=1):
            pool.submit(wait, count)
            until(lambda position=position: len(budget._waiting) == position)  # type: ignore[misc]
        budget.give(8)
        assert not served
        budget.give(1)
        until(lambda: served == [9])
        budget.give(4)
        until(lambda: len(served) == 3)

    assert budget.free == 1


def test_one_that_stops_waiting_lets_the_next_one_pass() -> None:
    budget = Budget(10, 0.05)
    assert budget.take(5)

    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(budget.wait, 10)
        until(lambda: bool(budget._waiting))
        budget._timeout = WAIT_SECONDS
        small = pool.submit(budget.wait, 5)

        assert (large.result(), small.result()) == (False, True)

    assert budget.free == 0


@pytest.mark.long
def test_a_budget_is_exact_after_random_use() -> None:
    budget = Budget(100, 0.001)

    def use(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(200):
            count = chance.randint(1, 60)
            if budget.take(count) if chance.random() < 0.5 else budget.wait(count):
                time.sleep(chance.random() / 1000)
                budget.give(count)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, range(16)))

    assert budget.free == 100


@pytest.mark.long  # all of them again, in a process of its own
def test_all_tests_pass_with_greenlets() -> None:
    if monkey.is_module_patched("threading"):
        return
    patched = "from gevent import monkey; monkey.patch_all(); import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
    tests = ["tests/service/test_batching.py", "tests/service/test_pacing.py", "tests/support/greenlets.py"]

    ended = subprocess.run(
        [sys.executable, "-c", patched, "-p", "no:cacheprovider", *tests],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout
