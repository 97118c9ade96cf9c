"""The service under test: gunicorn as started by the Procfile, on the same port after every restart."""

import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.passengers import PROJECT
from tests.support.served import Served, free_port, serve

ADMIN_KEY = "the-key-of-the-administrator"

_DESCRIPTORS = 16384
_QUIET = {"LOG_LEVEL": "warning"}  # otherwise the log fills the disk first


def web_command(app: str = "app:app") -> tuple[str, ...]:
    """The command of the Procfile, for a variant `app` of the service."""
    lines = dict(line.split(": ", 1) for line in (PROJECT / "Procfile").read_text().splitlines())
    return tuple(lines["web"].replace("app:app", app).split())


class Stage:
    """A running service that can be killed and restarted. `log` is its log file, `exports` is EXPORTS."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        command: tuple[str, ...] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.database_url = database_url
        self.folder = folder
        self.port = free_port()
        self.log = folder / "service.log"
        self._command = command or web_command()
        self._variables = {"EXPORTS": f"{folder}/exports", "ADMIN_KEY": ADMIN_KEY, **_QUIET, **(variables or {})}
        self.exports = Path(self._variables["EXPORTS"])
        self._runs = ExitStack()
        self._strays: list[psutil.Process] = []
        self.served: Served

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the service and waits until it is ready."""
        allow_many_connections()
        run: AbstractContextManager[Served] = serve(
            self.folder, self.database_url, self._command, variables=self._variables, port=self.port
        )
        self.served = self._runs.enter_context(run)

    def stop(self) -> None:
        """Stops the service, and waits for the workers of a killed master."""
        self._runs.close()
        self.outlast_strays()

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        master = self.served.process.pid
        return [worker for worker in self.served.workers() if worker.pid != master]

    def kill_worker(self, number: int) -> float:
        """Sends SIGKILL to one worker, alternately, and returns the time."""
        until(lambda: len(self.workers()) == 2)
        os.kill(self.workers()[number % 2].pid, signal.SIGKILL)
        return time.monotonic()

    def kill_master(self) -> float:
        """Sends SIGKILL to the master only, and returns the time."""
        self._strays += self.workers()
        self.served.process.kill()
        killed = time.monotonic()
        self.served.process.wait()
        self._runs.close()
        return killed

    def outlast_strays(self) -> None:
        """Waits for the workers of a killed master to end."""
        _, alive = psutil.wait_procs(self._strays, timeout=60)
        assert not alive, "workers outlived their master"

    def failures(self) -> int:
        """The number of unexpected errors in the log."""
        text = self.log.read_text()
        return text.count(" event=error ") + text.count("Traceback")


def allow_many_connections() -> None:
    """Raises the descriptor limit of this process, which the service inherits, as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.01)
