"""Many large bodies at once."""

import json
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

import psutil

from tests.chaos.audits.rows import Audit, audit, rows
from tests.chaos.outcome import Outcome, Scale, concluded, outcome
from tests.chaos.recorder import Recorder
from tests.chaos.sender import PASSENGERS, Acknowledged
from tests.chaos.stage import Stage, until
from tests.chaos.watch import Watch

_BYTES = 16 * 1024 * 1024
_ITEMS = 10_000
_MEMORY_BYTES = 512e6
_LIVEZ_SECONDS = 0.5
_TIMEOUT_SECONDS = 60.0
_CHUNK_BYTES = 64 * 1024
_LOOK_SECONDS = 0.01
_OTHERS = 5


def bodies_are_hostile(stage: Stage, scale: Scale) -> Outcome:
    """Bodies of 16 MiB at once that are slow to parse, or take much memory. All are refused, others are answered, and
    /livez is fast."""
    until(lambda: len(stage.workers()) == 2)
    workers = stage.workers()
    bodies = [_filled(part) for part in (b"0", b"[]", b'{"id":0}')]
    with Recorder(stage.port, senders=_OTHERS) as recorder, Watch(stage.port) as watch, _Peak(workers) as peak:
        recorder.recovery(time.monotonic())
        answers = _at_once([lambda i=i: _post(stage.port, bodies[i % 3]) for i in range(scale.bodies)])  # type: ignore[misc]
        recovery = recorder.recovery(time.monotonic())
    found = audit(recorder.acknowledged(), rows(stage.database_url))
    for status, count in Counter(answer.status for answer in answers).items():
        found.blame(f"a body that was answered {status}", 0 if 400 <= status < 500 or status == 503 else count)
    found.blame("a 503 without Retry-After", sum(one.status == 503 and not one.may_repeat for one in answers))
    found.blame("a worker that was lost", len(set(workers) - set(stage.workers())))
    found.blame("/livez was slow", watch.slowest("/livez") > _LIVEZ_SECONDS)
    found.blame("/livez was not 200", sum(one.status != 200 for one in watch.answers["/livez"]))
    figures = {"livez_seconds": watch.slowest("/livez"), "worker_mb": peak.bytes / 1e6}
    return concluded(f"{scale.bodies} bodies of 16 MiB at once", stage, recorder, found, recovery, **figures)


def arrays_are_large(stage: Stage, scale: Scale) -> Outcome:
    """Arrays of 10,000 valid items at once. Each is stored and answered 200, or 503, within the memory of a worker."""
    until(lambda: len(stage.workers()) == 2)
    texts = [json.dumps(values) for values in PASSENGERS]
    with _Peak(stage.workers()) as peak:
        answers = _at_once([lambda i=i: _post(stage.port, _array(i, texts)) for i in range(scale.arrays)])  # type: ignore[misc]
    found = Audit()
    for number, answer in enumerate(answers):
        _audit_array(found, stage, number, answer)
    found.blame("a worker took more than 512 MB", peak.bytes > _MEMORY_BYTES)
    found.blame("a failure in the log", stage.failures())
    figures = {
        "arrays_stored": sum(answer.status == 200 for answer in answers),
        "arrays_answered_503": sum(answer.status == 503 for answer in answers),
        "worker_mb": peak.bytes / 1e6,
    }
    return outcome(f"{scale.arrays} arrays of 10,000 at once", stage, scale.arrays * _ITEMS, found, **figures)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The status, 0 for no answer, and whether there is a Retry-After."""

    status: int
    may_repeat: bool = False
    body: bytes = b""


def _audit_array(found: Audit, stage: Stage, number: int, answer: _Answer) -> None:
    """An array is in the log as it was answered, or all of it or none of it if it was refused."""
    stored = rows(stage.database_url, f'"array-{number}-%')
    if answer.status == 200:
        items = json.loads(answer.body)
        found.blame("an array that was answered in part", len(items) != _ITEMS)
        given = [Acknowledged(_id(number, i), i % len(PASSENGERS), item, False) for i, item in enumerate(items)]
        one = audit(given, stored, exact=True)
        found.acknowledged += one.acknowledged
        found.lost += one.lost
        found.duplicated += one.duplicated
        for reason, count in one.reasons.items():
            found.blame(reason, count)
    else:
        refused = answer.status == 503 and answer.may_repeat
        found.blame(f"an array that was answered {answer.status}", not refused)
        found.blame("an array that was stored in part", len(stored) not in (0, _ITEMS))


def _id(number: int, i: int) -> str:
    return f"array-{number}-{i}"


def _array(number: int, texts: Sequence[str]) -> bytes:
    items = (f'{{"id":"{_id(number, i)}","observation":{texts[i % len(texts)]}}}' for i in range(_ITEMS))
    return f"[{','.join(items)}]".encode()


def _filled(part: bytes) -> bytes:
    """An array of as many equal parts as fit."""
    count = (_BYTES - 1) // (len(part) + 1)
    return b"[" + b",".join([part] * count) + b"]"


def _at_once(calls: Sequence[Callable[[], _Answer]]) -> list[_Answer]:
    """The answers of calls in threads of their own."""
    answers = [_Answer(0)] * len(calls)

    def call(i: int) -> None:
        answers[i] = calls[i]()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _post(port: int, body: bytes) -> _Answer:
    """Sends a body until it is answered, as a good client does."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(head % len(body))
            for start in range(0, len(body), _CHUNK_BYTES):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(body[start : start + _CHUNK_BYTES])
            response = HTTPResponse(connection, method="POST")
            response.begin()
            return _Answer(response.status, response.headers.get("Retry-After") is not None, response.read())
    except (OSError, HTTPException):
        return _Answer(0)


class _Peak:
    """The most memory that one of the processes had while the block ran, in bytes."""

    def __init__(self, processes: Sequence[psutil.Process]) -> None:
        self.bytes = 0
        self._processes = processes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            for process in self._processes:
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    self.bytes = max(self.bytes, process.memory_info().rss)
