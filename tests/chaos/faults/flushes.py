"""Checks with strace that the commit is flushed before the answer is sent."""

import re
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from service.client import Client
from tests.chaos.audits.labels import audit_log
from tests.chaos.outcome import Outcome, Scale, outcome
from tests.chaos.sender import PASSENGERS, Journal, Sender
from tests.chaos.stage import Stage, until

_REQUESTS = 200
_SETTLED_SECONDS = 0.2
_FLUSHED = re.compile(r"f(?:data)?sync(?:\(| resumed).*= 0")


def commits_are_flushed(stage: Stage, scale: Scale) -> Outcome:
    """Sends predictions and labels one by one and requires a flush before each 200, since the previous one."""
    until(lambda: len(stage.workers()) == 2)
    _connect_both(stage)
    trace = stage.folder / "trace"
    command = ["strace", "-f", "-y", "-tt", "-s", "16", "-e", "trace=fsync,fdatasync,sendto,sendmsg,write"]
    pids = [f"--attach={process.pid}" for process in _traced(stage)]
    with subprocess.Popen([*command, "-o", str(trace), *pids], stderr=subprocess.DEVNULL) as tracer:
        try:
            until(lambda: all(_is_traced(process) for process in _traced(stage)))
            journal = _sent_in_turn(stage)
            time.sleep(_SETTLED_SECONDS)
        finally:
            tracer.send_signal(signal.SIGINT)
    answers, flushed = _counted(trace)
    found = audit_log(stage.database_url, journal.acknowledged, journal.labels, exact=True)
    found.blame("an answer without a flush before it", answers - flushed)
    found.blame("an answer that was not seen", abs(_REQUESTS - answers))
    name = "a flush before each answer, by strace"
    return outcome(name, stage, journal.sent, found, answers=answers, flushed=flushed)


def _sent_in_turn(stage: Stage) -> Journal:
    """Each prediction is followed by its label."""
    journal = Journal()
    sender = Sender(stage.port, journal)
    for number in range(_REQUESTS // 2):
        assert sender.is_acknowledged(f"flush-{number}", number)
        assert sender.is_labelled(sender.labels(f"flush-{number}", number % 2 > 0))
    sender.close()
    return journal


def _traced(stage: Stage) -> list[psutil.Process]:
    """The workers and, for PostgreSQL, all processes of the server. Both workers must be connected to it."""
    backends = _backends(stage)
    servers = {child.pid: child for backend in backends[:1] for child in backend.parents()[0].children()}
    return [*stage.workers(), *servers.values()]


def _backends(stage: Stage) -> list[psutil.Process]:
    """The processes of the PostgreSQL server that serve the workers."""
    name = f" {urlsplit(stage.database_url).path[1:]} "
    titles = ((process, " ".join(process.info["cmdline"] or ())) for process in psutil.process_iter(["cmdline"]))
    return [process for process, title in titles if title.startswith("postgres: ") and name in title]


def _connect_both(stage: Stage) -> None:
    """Posts on new connections until both workers are connected to the server."""
    for number in range(100):
        if stage.database_url.startswith("sqlite") or len(_backends(stage)) == 2:
            return
        with Client(f"http://127.0.0.1:{stage.port}", timeout=30) as client:
            client.predict(f"first-{number}", PASSENGERS[number])
    raise AssertionError("a worker takes no connections")


def _is_traced(process: psutil.Process) -> bool:
    tasks = Path(f"/proc/{process.pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in task.read_text() for task in tasks)


def _counted(trace: Path) -> tuple[int, int]:
    """The number of answers, and of answers with a completed flush since the previous one."""
    answers = flushed = 0
    since = False
    for line in trace.read_text(errors="replace").splitlines():
        if _FLUSHED.search(line):
            since = True
        elif "HTTP/1.1 200" in line:
            answers += 1
            flushed += since
            since = False
    return answers, flushed
