"""Runs the service as it is deployed: gunicorn with its configuration, in separate processes."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.support.passengers import ARTIFACTS, PROJECT

_READY_SECONDS = 90.0
_FIRST_PORT, _RANGES, _PORTS = 20_000, 600, 20  # below the ports that the system hands out
_numbers = itertools.count()


@dataclass
class Served:
    """A running service. `url` has no slash at its end; the service logs to the file `log`."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        """POSTs JSON on a keep-alive connection."""
        return self.session.post(self.url + path, json=body, timeout=60, **options)

    def processes(self) -> list[psutil.Process]:
        """The processes of the service: the one started and all its descendants."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """The worker processes: the live processes without children."""
        return [process for process in self.processes() if _works(process)]

    def kill(self) -> None:
        """kill -9 for every process of the service."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # it may end by itself after its parent
                process.send_signal(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(processes)


def _works(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and not process.children()
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A free port on the loopback interface, from a range of this process. A service listens seconds after its port is
    chosen, and meanwhile another test run must not choose the same one."""
    for _ in range(_PORTS):
        port = _FIRST_PORT + os.getpid() % _RANGES * _PORTS + next(_numbers) % _PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"All {_PORTS} ports of this process are in use.")


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process of the service: a path with its commands, and these variables."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "LANG": "C.UTF-8", **variables}


@contextmanager
def serve(
    folder: Path,
    database_url: str,
    command: tuple[str, ...] = ("gunicorn", "app:app"),
    artifacts: Path | str = ARTIFACTS,
    variables: Mapping[str, str] | None = None,
    port: int | None = None,
    stdout: int | None = None,
) -> Iterator[Served]:
    """Runs the service until the block ends, on a free port of the loopback interface unless `port` is given. Then it
    sends SIGTERM to every process, as platforms do. The log is in `folder`, or goes to the descriptor `stdout`."""
    port = port or free_port()
    given = environment(PORT=str(port), DATABASE_URL=database_url, ARTIFACTS=str(artifacts), **(variables or {}))
    log = folder / "service.log"
    with log.open("ab") as output:
        given_output = output if stdout is None else stdout
        process = subprocess.Popen(command, cwd=PROJECT, env=given, stdout=given_output, stderr=subprocess.STDOUT)
    served = Served(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait_until_ready(served)
        yield served
    finally:
        served.session.close()
        if process.poll() is None:
            processes = served.processes()
            for each in processes:
                with suppress(psutil.NoSuchProcess):  # a parent that stops may end its children first
                    each.terminate()
            _, alive = psutil.wait_procs(processes, timeout=60)
            for late in alive:
                late.kill()
        process.wait()


def _wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if served.process.poll() is not None:
            break
        try:
            if requests.get(served.url + "/readyz", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"The service is not ready:\n{served.log.read_text()}")
