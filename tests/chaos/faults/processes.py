"""Faults of the processes of the service: kill, suspend, stop and reload."""

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg

from tests.chaos.audits.labels import audit_log
from tests.chaos.outcome import Outcome, Scale, outcome, recorded
from tests.chaos.recorder import SENDERS, Recorder
from tests.chaos.sender import Journal, Sender
from tests.chaos.stage import Stage, until

_DRAIN_SECONDS = 25
_FROZEN_SECONDS = 3.0


def workers_are_killed(stage: Stage, scale: Scale) -> Outcome:
    """SIGKILL of a worker, repeatedly."""

    def fault(recorder: Recorder) -> float:
        return max(recorder.recovery(stage.kill_worker(i)) for i in range(scale.kills))

    return recorded(f"SIGKILL of a worker, {scale.kills} times", stage, fault, interrupts=True, cuts=True)


def master_is_killed(stage: Stage, scale: Scale) -> Outcome:
    """SIGKILL of the master, and a new start."""

    def fault(recorder: Recorder) -> float:
        longest = 0.0
        for _ in range(scale.repeats):
            killed = stage.kill_master()
            stage.start()
            stage.outlast_strays()
            started = time.monotonic()
            longest = max(longest, started - killed + recorder.recovery(started))
        return longest

    return recorded(f"SIGKILL of the master, {_times(scale)}", stage, fault, interrupts=True, cuts=True)


def service_is_restarted(stage: Stage, scale: Scale) -> Outcome:
    """SIGTERM of the master under load, and a new start, as in a deploy: every stored prediction is answered, no answer
    is incomplete, and the service stops in time."""

    def fault(recorder: Recorder) -> float:
        longest = 0.0
        for _ in range(scale.repeats):
            stage.served.process.terminate()
            asked = time.monotonic()
            stage.served.process.wait(_DRAIN_SECONDS)
            stage.stop()
            stage.start()
            longest = max(longest, time.monotonic() - asked + recorder.recovery(time.monotonic()))
        return longest

    name = f"SIGTERM under load and a start, {_times(scale)}"
    return recorded(name, stage, fault, interrupts=True, exact=True)


def service_is_reloaded(stage: Stage, scale: Scale) -> Outcome:
    """SIGHUP: new workers replace the old ones, which answer every prediction that they stored."""

    def fault(recorder: Recorder) -> float:
        longest = 0.0
        for _ in range(scale.repeats):
            old = stage.workers()
            stage.served.process.send_signal(signal.SIGHUP)
            asked = time.monotonic()
            psutil.wait_procs(old, timeout=_DRAIN_SECONDS)
            longest = max(longest, recorder.recovery(asked))
            until(lambda: len(stage.workers()) == 2)
        return longest

    return recorded(f"SIGHUP, {_times(scale)}", stage, fault, interrupts=True, exact=True)


def worker_is_frozen(stage: Stage, scale: Scale) -> Outcome:
    """SIGSTOP of one worker, which may hold the writer lock: the others answer, perhaps with 503, until it resumes."""

    def fault(recorder: Recorder) -> float:
        longest = 0.0
        for i in range(scale.repeats):
            frozen = stage.workers()[i % 2]
            frozen.suspend()
            time.sleep(_FROZEN_SECONDS)
            frozen.resume()
            longest = max(longest, recorder.recovery(time.monotonic()))
        return longest

    return recorded(f"SIGSTOP of a worker for {_FROZEN_SECONDS:g} s, {_times(scale)}", stage, fault)


def service_is_asked_to_stop(stage: Stage, scale: Scale) -> Outcome:
    """SIGTERM while fifty requests, half of them labels, wait for the database: each gets a 200 before the service
    ends."""
    journal = Journal()
    answered: list[bool] = []
    drained = 0.0
    for number in range(scale.repeats):
        _predict(stage, journal, number)
        with _database_held(stage.database_url):
            threads = [
                threading.Thread(target=_send, args=(stage, journal, number, i, answered)) for i in range(SENDERS)
            ]
            for thread in threads:
                thread.start()
            until(lambda: _in_hand(stage) >= SENDERS)
            time.sleep(0.2)  # the workers read the last request
            stage.served.process.terminate()
            asked = time.monotonic()
            time.sleep(0.5)  # the workers get the signal
        stage.served.process.wait(_DRAIN_SECONDS)
        drained = max(drained, time.monotonic() - asked)
        for thread in threads:
            thread.join()
        stage.stop()
        if number + 1 < scale.repeats:
            stage.start()
    found = audit_log(stage.database_url, journal.acknowledged, journal.labels, exact=True)
    found.blame("a request in hand that was not answered 200", scale.repeats * SENDERS - answered.count(True))
    name = f"SIGTERM with {SENDERS} requests in hand, {_times(scale)}"
    return outcome(name, stage, journal.sent, found, drained_seconds=drained)


def _predict(stage: Stage, journal: Journal, number: int) -> None:
    """Sends the predictions that will be labelled."""
    sender = Sender(stage.port, journal)
    for i in range(0, SENDERS, 2):
        until(lambda i=i: sender.is_acknowledged(f"l-{number}-{i}", i))  # type: ignore[misc]
    sender.close()


def _send(stage: Stage, journal: Journal, number: int, i: int, answered: list[bool]) -> None:
    """Sends one request: a label or a prediction."""
    sender = Sender(stage.port, journal)
    if i % 2:
        answered.append(sender.is_acknowledged(f"t-{number}-{i}", i))
    else:
        answered.append(sender.is_labelled(sender.labels(f"l-{number}-{i}", i % 4 > 0)))
    sender.close()


def _in_hand(stage: Stage) -> int:
    """The connections that the workers have accepted."""
    return sum(
        connection.status == psutil.CONN_ESTABLISHED
        for worker in stage.workers()
        for connection in worker.net_connections("tcp")
        if connection.laddr.port == stage.port
    )


@contextmanager
def _database_held(url: str) -> Iterator[None]:
    """Locks the table until the block ends."""
    if url.startswith("sqlite:///"):
        holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
        holder.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE prediction IN ACCESS EXCLUSIVE MODE")
            yield


def _times(scale: Scale) -> str:
    return "once" if scale.repeats == 1 else f"{scale.repeats} times"
