"""A process that learns gets little of the processor while predictions are many, and is never left stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path

import psutil
import pytest

from service.errors import Unavailable
from service.learning.pace import Pace
from tests.support.waiting import WAIT_SECONDS, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux paces")

WORKING = "print('ready', flush=True)\nwhile True: pass"
STOPPED = psutil.STATUS_STOPPED


@contextmanager
def working(script: str = WORKING) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def rows(per_second: float) -> Callable[[], int]:
    """The greatest id of a log that grows."""
    began = time.monotonic()
    return lambda: int((time.monotonic() - began) * per_second)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes whose groups were stopped."""
    found: list[int] = []
    original = os.killpg

    def killpg(pid: int, number: int) -> None:
        if number == signal.SIGSTOP:
            found.append(pid)
        original(pid, number)

    monkeypatch.setattr(os, "killpg", killpg)
    return found


def test_it_is_stopped_again_and_again_while_predictions_are_many(stops: list[int]) -> None:
    with working() as process:
        assert not Pace(process, rows(5000)).wait(2.0)

        assert len(stops) >= 5
        until(lambda: psutil.Process(process.pid).status() != STOPPED)


def test_what_it_started_is_stopped_too() -> None:
    with working(f"import os\nif not os.fork():\n  while True: pass\n{WORKING}") as process:
        (child,) = psutil.Process(process.pid).children()
        waiting = threading.Thread(target=Pace(process, rows(5000)).wait, args=(WAIT_SECONDS,))
        waiting.start()

        until(lambda: child.status() == STOPPED)

        os.killpg(process.pid, signal.SIGKILL)
        waiting.join()


def test_the_more_predictions_the_longer_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("service.learning.pace._PACED_AT_FIRST_SECONDS", 0.0)
    with working() as process:
        for per_second in (400, 1000, 50_000):
            pace = Pace(process, rows(per_second))
            assert not pace.wait(1.0)
            slept.append(pace._stop_seconds)

    assert slept == pytest.approx([0.006, 0.018, 0.038], rel=0.2)


@pytest.mark.parametrize("per_second", [0, 50], ids=["none", "few"])
def test_it_is_not_stopped_while_predictions_are_few(stops: list[int], per_second: float) -> None:
    with working() as process:
        pace = Pace(process, rows(per_second))
        assert not pace.wait(1.0)
        stops.clear()  # of the first moments
        assert not pace.wait(1.0)

    assert stops == []


def test_it_goes_on_at_full_speed_when_predictions_are_few_again(
    stops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.learning.pace._PACED_SECONDS", 0.3)
    log = chain([0, 5000], repeat(5000))
    with working() as process:
        pace = Pace(process, lambda: next(log))
        assert not pace.wait(1.0)
        assert stops
        stops.clear()
        assert not pace.wait(1.0)

    assert stops == []


def test_it_is_not_stopped_while_it_holds_a_lock(stops: list[int], tmp_path: Path) -> None:
    script = f"import fcntl; f = open({str(tmp_path / 'lock')!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n{WORKING}"
    with working(script) as process:
        assert not Pace(process, rows(5000)).wait(1.0)

    assert stops == []


def test_a_database_that_is_away_paces_nothing(stops: list[int]) -> None:
    def away() -> int:
        raise Unavailable("away", 2, "OSError")

    with working() as process:
        pace = Pace(process, away)
        assert not pace.wait(1.0)
        stops.clear()
        assert not pace.wait(1.0)

    assert stops == []


def test_the_end_of_a_paced_process_is_seen(stops: list[int]) -> None:
    with working("import time; print('ready', flush=True); time.sleep(1)") as process:
        assert Pace(process, rows(5000)).wait(60)

    assert process.returncode == 0
    assert stops
