"""Servers on the loopback interface: started in an empty folder, waited for until the first right answer, looked at,
and stopped with all their processes."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import requests

from benchmarks.contenders import WORKERS, Contender
from benchmarks.loads.wrk import first_id
from benchmarks.passengers import ID, PROJECT, WrongAnswer, require_right

_READY_SECONDS = 120.0
_MEGABYTE = 1024 * 1024


class NotStarted(Exception):
    """A server did not give a right answer in time; the message ends with the last of what it logged."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that has answered right once, `start_seconds` after it was started with `variables`."""

    contender: Contender
    process: "subprocess.Popen[bytes]"
    url: str
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 0.0

    def check(self) -> None:
        """Raises WrongAnswer unless the contender's observation, under an id of its own, is answered right."""
        body = self.contender.template(self.contender.observation).replace(ID, str(first_id()))
        headers = {"Content-Type": "application/json"}
        answer = requests.post(self.url, data=body, headers=headers, timeout=20)
        proba = self._proba(answer) if answer.ok else None
        require_right(answer.status_code, proba, self.contender.expected)

    def _proba(self, answer: requests.Response) -> float:
        try:
            return self.contender.proba(answer.json())
        except (ValueError, TypeError, LookupError):
            raise WrongAnswer(f"the answer holds no probability: {answer.text[:200]}") from None

    def workers(self) -> list[psutil.Process]:
        """The processes that do the work: of those that have no children themselves, the largest."""
        leaves = [process for process in _family(self.process) if not process.children()]
        return sorted(leaves, key=lambda leaf: leaf.memory_info().rss, reverse=True)[:WORKERS]

    def cpu_seconds(self) -> float:
        """The user and system time that all processes of the server have taken so far. One that ended is left out."""
        times = [process.cpu_times() for process in _family(self.process)]
        return sum(each.user + each.system for each in times)

    def memory_mb(self) -> float:
        """The proportional memory of all processes of the server together: what is shared counts once."""
        return sum(_proportional(process) for process in _family(self.process)) / _MEGABYTE

    def worker_mb(self) -> float:
        """The proportional memory of a worker, on average."""
        workers = self.workers()
        return sum(_proportional(worker) for worker in workers) / len(workers) / _MEGABYTE


@contextmanager
def serve(contender: Contender) -> Iterator[Server]:
    """Serves until the block ends. Raises NotStarted."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        folder = Path(scratch)
        server = _started(contender, folder)
        try:
            yield _ready(server, time.monotonic())
        finally:
            _stop(server.process)


def _started(contender: Contender, folder: Path) -> Server:
    port = _free_port()
    variables = contender.variables(folder)
    command = [part.format(port=port) for part in contender.command]
    environment = {
        "PATH": os.pathsep.join([str(Path(contender.python).parent), os.environ["PATH"]]),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "PYTHONPATH": str(PROJECT),
        "PORT": str(port),
        **variables,
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=contender.folder or folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    return Server(contender, process, f"http://127.0.0.1:{port}{contender.path}", folder, variables)


def _ready(server: Server, started: float) -> Server:
    reason = "it gave no answer"
    while time.monotonic() < started + _READY_SECONDS and server.process.poll() is None:
        try:
            server.check()
        except (requests.RequestException, WrongAnswer) as error:
            reason = str(error)
            time.sleep(0.02)
        else:
            seconds = time.monotonic() - started
            return replace(server, start_seconds=seconds)
    last = (server.folder / "server.log").read_text(errors="replace")[-1000:]
    raise NotStarted(f"{server.contender.name} did not start: {reason}\n{last}")


def _family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def _proportional(process: psutil.Process) -> float:
    """PSS where the system tells it, else what is the process's own, in bytes."""
    memory = process.memory_full_info()
    return float(getattr(memory, "pss", memory.uss))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        family = _family(process)
        for each in family:
            _quietly(each.terminate)
        _, late = psutil.wait_procs(family, timeout=20)
        for each in late:
            _quietly(each.kill)
    process.wait()


def _quietly(end: Callable[[], None]) -> None:
    try:
        end()
    except psutil.NoSuchProcess:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
