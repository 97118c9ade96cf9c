"""Neither requests nor signals wait for the reader of standard output. What can be written is written whole, in order
and once."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.support.passengers import prediction
from tests.support.served import Served, serve
from tests.support.waiting import until
from tests.support.wire import connected

pytestmark = pytest.mark.long  # real servers, thousands of lines

LINE = re.compile(r'time=\S+ level=[a-z]+ event=[a-z-]+( [a-z_]+=("(\\.|[^"\\])*"|[^\s"]+))*')
ONE_WORKER = {"WEB_CONCURRENCY": "1"}


class Pipe:
    """The pipe that a service writes to. Nobody reads it until `start`."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._chunks: list[bytes] = []
        self._reader: threading.Thread | None = None

    def start(self, chunk: int = 65536, pause: float = 0.0) -> None:
        """Reads in the background, at most `chunk` bytes at a time, with a pause in seconds after each."""
        self._reader = threading.Thread(target=self._read, args=(chunk, pause))
        self._reader.start()

    def _read(self, chunk: int, pause: float) -> None:
        while data := os.read(self.reading, chunk):
            self._chunks.append(data)
            time.sleep(pause)

    @property
    def text(self) -> str:
        """What was read so far."""
        return b"".join(self._chunks).decode()

    def lines(self) -> list[str]:
        """All lines, when no process has the pipe any more. Each must be whole."""
        assert self._reader is not None
        self._reader.join(60)
        text = self.text
        lines = text.splitlines()
        assert text.endswith("\n")
        assert not [line for line in lines if not LINE.fullmatch(line)]
        return lines

    def close(self) -> None:
        """Closes what is open."""
        for descriptor in (self.reading, self.writing):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@contextmanager
def piped(folder: Path, pipe: Pipe, variables: dict[str, str] | None = None) -> Iterator[Served]:
    """A service that alone can write to the pipe."""
    with serve(folder, f"sqlite:///{folder}/log.db", variables=variables, stdout=pipe.writing) as served:
        os.close(pipe.writing)
        yield served


def ask(served: Served, numbers: range, padding: int = 1) -> None:
    """Sends numbered requests for an unknown path on one connection, and reads the responses."""
    with connected(served) as connection:
        for number in numbers:
            connection.sendall(f"GET /n/{number}/{'x' * padding} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            answered = connection.recv(65536)
            assert answered.startswith(b"HTTP/1.1 404"), answered


def numbers_in(lines: list[str]) -> list[int]:
    """The numbers of the requests of `ask`."""
    return [int(found[1]) for line in lines if (found := re.search(r" path=/n/(\d+)/", line))]


def dropped(served: Served) -> int:
    """The dropped lines by /metrics."""
    text = requests.get(served.url + "/metrics", timeout=20).text
    found = re.search(r"^prediction_service_dropped_log_lines_total ([0-9.]+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1]))


def test_requests_go_on_while_nobody_reads_and_what_is_missing_is_reported(tmp_path: Path, pipe: Pipe) -> None:
    with piped(tmp_path, pipe, ONE_WORKER) as served:
        ask(served, range(1600), padding=3000)
        for id_ in range(100):
            assert served.post("/predict", prediction(id_)).status_code == 200
        for path in ("/livez", "/readyz"):
            assert served.session.get(served.url + path, timeout=5).status_code == 200
        lost = dropped(served)
        assert lost > 0

        pipe.start()
        until(lambda: "event=log-dropped" in pipe.text)
        ask(served, range(1600, 1700))
        total = dropped(served)
    lines = pipe.lines()

    written = numbers_in(lines)
    gap = next(i for i, line in enumerate(lines) if "event=log-dropped" in line)
    assert f" lines={total}" in lines[gap]
    assert total >= lost
    before = numbers_in(lines[:gap])
    assert before == list(range(len(before)))
    assert len(before) > 1000
    assert numbers_in(lines[gap:]) == list(range(1600, 1700))
    assert 1600 - len(before) + 100 <= total <= 1600 - len(before) + 110
    assert len(written) == len(set(written))


def test_the_service_stops_and_replaces_a_killed_worker_while_nobody_reads(tmp_path: Path, pipe: Pipe) -> None:
    with piped(tmp_path, pipe, ONE_WORKER) as served:
        (first,) = served.workers()
        ask(served, range(50), padding=3000)
        first.send_signal(signal.SIGKILL)
        until(lambda: served.workers() not in ([], [first]))
        until(lambda: _answers(served))

        began = time.monotonic()
        served.process.terminate()
        served.process.wait(60)
        assert time.monotonic() - began < 15


def _answers(served: Served) -> bool:
    try:
        return requests.get(served.url + "/livez", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_the_lines_of_the_master_flow_again_without_new_ones(tmp_path: Path, pipe: Pipe) -> None:
    with piped(tmp_path, pipe, ONE_WORKER) as served:
        (first,) = served.workers()
        ask(served, range(50), padding=3000)
        first.send_signal(signal.SIGKILL)
        until(lambda: served.workers() not in ([], [first]))

        pipe.start()
        until(lambda: "SIGKILL" in pipe.text)


def test_queued_lines_are_written_before_the_service_ends(tmp_path: Path, pipe: Pipe) -> None:
    with piped(tmp_path, pipe, ONE_WORKER) as served:
        ask(served, range(500), padding=1000)
        served.process.terminate()
        pipe.start()
        served.process.wait(60)
    lines = pipe.lines()

    assert numbers_in(lines) == list(range(500))
    assert "Shutting down: Master" in lines[-1]


def test_a_slow_reader_gets_every_line_once(tmp_path: Path, pipe: Pipe) -> None:
    with piped(tmp_path, pipe, {"WEB_CONCURRENCY": "2"}) as served:
        pipe.start(chunk=4096, pause=0.005)
        senders = [threading.Thread(target=ask, args=(served, range(i, i + 1000))) for i in range(0, 4000, 1000)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        served.process.terminate()
        served.process.wait(60)
    numbers = numbers_in(pipe.lines())

    assert sorted(numbers) == list(range(4000))
    for i in range(0, 4000, 1000):
        of_one = [number for number in numbers if i <= number < i + 1000]
        assert of_one == sorted(of_one)
