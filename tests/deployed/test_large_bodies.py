"""Large and hostile bodies, many at once, neither stop a worker nor its health checks, and its memory stays bounded."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.passengers import prediction
from tests.support.served import Served, serve
from tests.support.waiting import until
from tests.support.wire import POST, Answered, answer, connected, send

pytestmark = [pytest.mark.alone, pytest.mark.long]

MIB = 1024 * 1024
LENGTH = 16 * MIB
MOST_MEMORY = 512 * MIB
IN_ITEM = b'[{"id":1,"observation":{"a":['


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("bodies")
    with serve(folder, f"sqlite:///{folder}/log.db") as served:
        until(lambda: len(served.workers()) == 2)
        yield served
    assert "event=error" not in served.log.read_text()


@pytest.fixture
def served(service: Served) -> Iterator[Served]:
    """The same two workers for all tests. The memory that they took counts from the first test on."""
    pids = {worker.pid for worker in service.workers()}
    yield service
    assert service.post("/predict", prediction("afterwards")).status_code == 200
    assert {worker.pid for worker in service.workers()} == pids
    assert all(peak_memory(pid) < MOST_MEMORY for pid in pids)


def peak_memory(pid: int) -> int:
    """The most memory that a process had so far, in bytes."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def full(unit: bytes, start: bytes = b"[", end: bytes = b"1]") -> bytes:
    """A body of 16 MiB that repeats a unit."""
    return start + unit * ((LENGTH - len(start) - len(end)) // len(unit)) + end


def hostile() -> Iterator[bytes]:
    """Bodies of 16 MiB that are costly to scan, to decode or to validate."""
    numbers = (b"1,", b"1.2345678901234567e-30,", b"1" * 4000 + b",")
    for unit in (b"{},", b"[],", b'"[",[],', b'"",', b'"\\"",', b'"\\u00e9",', *numbers):
        yield full(unit)
        yield full(unit, IN_ITEM, b"1]}}]")
    for character in (b"\\", "😀".encode(), b"x", b"\\n"):
        yield full(character, b'["', b'"]')
    for start in (b"[", b"[0.", b"[1e"):
        yield full(b"1", start, b"]")
    yield full(b"[", b"", b"")
    yield full(b"x", '["😀'.encode(), b'"]')
    yield full(b'{"id":1,"observation":{}},')
    yield full(b'{"id":1,"observation":{"a":"%b"}},' % (b"x" * 1900), end=b"{}]")
    yield IN_ITEM[:-1] + b"{" + b",".join(b'"k%d":1' % i for i in range(500_000)) + b"}}}]"
    yield full(b" ")


def post(served: Served, body: bytes, path: bytes = b"/predict") -> Answered:
    head = POST.replace(b"/predict", path) + b"Content-Length: %d\r\n\r\n" % len(body)
    with connected(served) as connection:
        connection.settimeout(120)
        send(connection, [head, body])
        return answer(connection)


def at_once(served: Served, bodies: list[bytes]) -> list[Answered]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: post(served, body), bodies))


@contextmanager
def polled(served: Served) -> Iterator[list[float]]:
    """The seconds that each request for /livez takes until the block ends."""
    seconds: list[float] = []
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(0.02):
            began = time.perf_counter()
            assert requests.get(served.url + "/livez", timeout=60).status_code == 200
            seconds.append(time.perf_counter() - began)

    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll)
        try:
            yield seconds
        finally:
            ended.set()
        polling.result()


def assert_refused_or(answered: list[Answered], *statuses: int) -> None:
    for each in answered:
        assert each.status in statuses or (each.status == 503 and int(each.headers["retry-after"]) >= 1), each


def test_hostile_arrays_at_once_are_refused_while_health_checks_answer(served: Served) -> None:
    bodies = list(hostile())[:30]

    with polled(served) as seconds:
        answered = at_once(served, bodies)

    assert_refused_or(answered, 400, 413, 422)
    assert max(seconds) < 0.5


def test_each_hostile_array_is_refused(served: Served) -> None:
    with polled(served) as seconds:
        answered = [post(served, body) for body in hostile()]

    assert_refused_or(answered, 400, 413, 422)
    assert {each.status for each in answered} == {400, 413, 422}
    assert max(seconds) < 0.5


def test_large_valid_arrays_at_once_take_bounded_memory_and_are_stored_or_503(served: Served) -> None:
    arrays = [[prediction(f"{k}-{i}") for i in range(10_000)] for k in range(64)]

    answered = at_once(served, [json.dumps(array).encode() for array in arrays])

    assert_refused_or(answered, 200)
    stored = [k for k, each in enumerate(answered) if each.status == 200]
    assert len(stored) >= 8
    for k in stored:
        assert [each["observation_id"] for each in answered[k].json] == [f"{k}-{i}" for i in range(10_000)]
        repeated: Any = served.post("/predict", arrays[k][-1])
        assert repeated.headers["Idempotent-Replayed"] == "true"


def test_many_objects_of_a_mebibyte_at_once_are_refused(served: Served) -> None:
    body = json.dumps(prediction(1, extra="x" * (MIB - 300))).encode()

    with polled(served) as seconds:
        answered = at_once(served, [body] * 300)

    assert_refused_or(answered, 422)
    assert sorted(seconds)[len(seconds) // 2] < 0.5


def test_many_small_arrays_of_short_items_at_once_take_bounded_memory(served: Served) -> None:
    required = {"Pclass": 3, "Sex": "male", "SibSp": 1, "Parch": 0}
    arrays = [[{"id": f"small-{k}-{i}", "observation": required} for i in range(80)] for k in range(1000)]

    answered = at_once(served, [json.dumps(array, separators=(",", ":")).encode() for array in arrays])

    assert_refused_or(answered, 200)
