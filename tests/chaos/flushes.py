"""Whether the commit is flushed before the answer leaves, seen from below: the system calls that strace reports."""

import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import requests

from tests.chaos.audit import audit, rows
from tests.chaos.outcome import Outcome, Scale, outcome
from tests.chaos.recorder import PASSENGERS, Acknowledged
from tests.chaos.stage import Stage, until

_REQUESTS = 200
_FLUSHED = re.compile(r"f(?:data)?sync(?:\(| resumed).*= 0")


def commits_are_flushed(stage: Stage, scale: Scale) -> Outcome:
    """Sends requests one after the other and looks, for each answer of 200, for a flush since the one before."""
    acknowledged: list[Acknowledged] = []
    trace = stage.folder / "trace"
    command = ["strace", "-f", "-y", "-tt", "-s", "16", "-e", "trace=fsync,fdatasync,sendto,sendmsg,write"]
    pids = [f"--attach={process.pid}" for process in _traced(stage)]
    with subprocess.Popen([*command, "-o", str(trace), *pids], stderr=subprocess.DEVNULL) as tracer:
        until(lambda: all(_is_traced(process) for process in _traced(stage)))
        with requests.Session() as session:
            for number in range(_REQUESTS):
                body = {"id": f"flush-{number}", "observation": PASSENGERS[number]}
                response = session.post(f"http://127.0.0.1:{stage.port}/predict", json=body, timeout=30)
                acknowledged.append(Acknowledged(f"flush-{number}", number, response.json(), False))
        time.sleep(0.2)
        tracer.send_signal(signal.SIGINT)
    answers, flushed = _counted(trace)
    found = audit(acknowledged, rows(stage.database_url), exact=True)
    found.blame("an answer without a flush before it", answers - flushed)
    found.blame("an answer that was not seen", abs(_REQUESTS - answers))
    return outcome("a flush before each answer, by strace", stage, _REQUESTS, found, answers=answers, flushed=flushed)


def _traced(stage: Stage) -> list[psutil.Process]:
    """The workers and, where it is PostgreSQL, the server's processes for them."""
    servers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if " ".join(process.info["cmdline"] or ()).startswith("postgres: ") and _name(stage) in process.cmdline()[0]
    ]
    return [*stage.workers(), *servers]


def _name(stage: Stage) -> str:
    return f" {stage.database_url.rpartition('/')[2].partition('?')[0]} "


def _is_traced(process: psutil.Process) -> bool:
    tasks = Path(f"/proc/{process.pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in task.read_text() for task in tasks)


def _counted(trace: Path) -> tuple[int, int]:
    """The answers, and those of them with a completed flush since the one before."""
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
