"""Standard output that nobody reads."""

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.chaos.audits.labels import audit_log
from tests.chaos.outcome import RECOVERY_SECONDS, Outcome, Scale, concluded
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage, web_command

_PATH = "/" + "a" * 3000  # a long line in the log, which a pipe takes whole or not at all
_MOST_REQUESTS = 16_000
_REQUESTS = 500
_WITHIN_SECONDS = 20.0
_SETTLED_SECONDS = 1.0
_READ_BYTES = 65536
_DROPPED = re.compile(r"^prediction_service_dropped_log_lines_total(?:{[^}]*})? (\S+)$", re.MULTILINE)
_LINE = re.compile(r"time=\S+ level=\w+ event=\S+.*")


def output_is_stalled(folder: Path, scale: Scale) -> Outcome:
    """Nobody reads the pipe of standard output, until its buffers are full and lines are dropped: all go on, and the
    number of dropped lines is in the metrics and, when the pipe is read again, in the log."""
    with _pipe(folder / "output") as (path, reader):
        command = ("sh", "-c", f"exec {' '.join(web_command())} > '{path}'")
        with Stage(folder, f"sqlite:///{folder}/log.db", command, {"LOG_LEVEL": "info"}) as stage:
            with Recorder(stage.port) as recorder:
                recorder.recovery(time.monotonic(), _WITHIN_SECONDS)
                dropped = _filled(stage)
                recovery = recorder.recovery(time.monotonic(), _WITHIN_SECONDS)
                for _ in range(scale.repeats):
                    time.sleep(_SETTLED_SECONDS)
                    recovery = max(recovery, recorder.recovery(time.monotonic(), _WITHIN_SECONDS))
                reading = _Reading(reader)
                recovery = max(recovery, recorder.recovery(time.monotonic(), _WITHIN_SECONDS))
                time.sleep(_SETTLED_SECONDS)
            stage.stop()
            text = reading.end()
            found = audit_log(stage.database_url, recorder.acknowledged(), recorder.labelled())
            reported = sum(map(int, re.findall(r"event=log-dropped lines=(\d+)", text)))
            found.blame("a line that is not whole", sum(not _LINE.fullmatch(line) for line in text.splitlines()))
            found.blame("dropped lines that were not reported", reported < dropped)
            found.blame("an error in the output", text.count("event=error") + text.count("Traceback"))
            found.blame("a request that was not answered 200", _unanswered(recorder))
            found.blame("senders waited", recovery > RECOVERY_SECONDS)
            name = "standard output that nobody reads"
            return concluded(name, stage, recorder, found, recovery, dropped_lines=reported)


class _Reading:
    """Reads the pipe in a thread of its own."""

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._parts: list[bytes] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> str:
        """What was read, after the service has ended."""
        self._ended.set()
        self._thread.join()
        return b"".join(self._parts).decode(errors="replace")

    def _read(self) -> None:
        while True:
            ended = self._ended.is_set()
            try:
                part = os.read(self._reader, _READ_BYTES)
            except BlockingIOError:
                part = b""
            if part:
                self._parts.append(part)
            elif ended:
                return
            else:
                time.sleep(0.005)


def _filled(stage: Stage) -> int:
    """Makes long log lines until some are dropped, and returns their number."""
    url = f"http://127.0.0.1:{stage.port}"
    with requests.Session() as session:
        for _ in range(_MOST_REQUESTS // _REQUESTS):
            for _ in range(_REQUESTS):
                assert _status(session, url + _PATH) == 404, "a request was not answered"
            if dropped := _dropped(session.get(url + "/metrics", timeout=_WITHIN_SECONDS).text):
                return dropped
    raise AssertionError("no log line was dropped, or none was counted")


def _status(session: requests.Session, url: str) -> int:
    try:
        return session.get(url, timeout=_WITHIN_SECONDS).status_code
    except requests.RequestException:
        return 0


def _dropped(metrics: str) -> int:
    return round(sum(float(count) for count in _DROPPED.findall(metrics)))


def _unanswered(recorder: Recorder) -> int:
    return sum(recorder.total(name) for name in ("interrupted", "cut", "unavailable"))


@contextmanager
def _pipe(path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe and its reading end."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _READ_BYTES)
    try:
        yield path, reader
    finally:
        os.close(reader)
