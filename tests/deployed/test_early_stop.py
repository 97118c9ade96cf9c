"""SIGTERM before the service is ready. The first process of a container gets no default action for it, which the tests
imitate: the process starts with SIGTERM ignored, so it ends only if it has a handler."""

import fcntl
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.served import environment, free_port, serve
from tests.support.waiting import WAIT_SECONDS, until

_IGNORING = (
    "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.long  # starts a server
@pytest.mark.parametrize(
    "command", [("gunicorn", "app:app"), ("python", "-m", "service", "serve"), ("python", "-m", "service", "migrate")]
)
def test_sigterm_ends_a_start_that_waits(tmp_path: Path, command: tuple[str, ...]) -> None:
    given = environment(
        DATABASE_URL=f"sqlite:///{tmp_path}/predictions.db", ARTIFACTS=str(ARTIFACTS), PORT=str(free_port())
    )
    with open(tmp_path / "predictions.db.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another process that migrates holds it
        process = subprocess.Popen((sys.executable, "-c", _IGNORING, *command), cwd=PROJECT, env=given)
        _wait_until_it_waits(process)
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=WAIT_SECONDS) == 128 + signal.SIGTERM


@pytest.mark.long  # starts a server
def test_sigterm_between_the_migration_and_the_server_is_not_lost(tmp_path: Path) -> None:
    given = environment(
        DATABASE_URL=f"sqlite:///{tmp_path}/predictions.db", ARTIFACTS=str(ARTIFACTS), PORT=str(free_port())
    )
    signalled = (
        "import os, signal; from service.server.early_stop import keep_sigterm; keep_sigterm(); "
        "os.kill(os.getpid(), signal.SIGTERM); os.execvp('gunicorn', ['gunicorn', 'app:app'])"
    )
    ran = subprocess.run(
        (sys.executable, "-c", signalled), cwd=PROJECT, env=given, capture_output=True, timeout=60, check=False
    )

    assert ran.returncode == 128 + signal.SIGTERM
    assert b"Starting gunicorn" not in ran.stderr + ran.stdout


@pytest.mark.long  # starts a server
def test_sigterm_is_heard_before_the_libraries_are_imported(tmp_path: Path) -> None:
    given = environment(
        DATABASE_URL=f"sqlite:///{tmp_path}/predictions.db", ARTIFACTS=str(ARTIFACTS), PORT=str(free_port())
    )
    command = ("python", "-m", "service", "serve")

    def is_early() -> bool:
        process = subprocess.Popen((sys.executable, "-c", _IGNORING, *command), cwd=PROJECT, env=given)
        until(lambda: _catches_sigterm(process.pid))
        found = "numpy" not in Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=WAIT_SECONDS) == 128 + signal.SIGTERM
        return found

    until(is_early)  # on a busy machine, the look may come after the imports


@pytest.mark.long  # starts a server
def test_after_a_reload_sigterm_still_lets_the_workers_finish(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/predictions.db") as served:
        before = set(served.workers())
        served.process.send_signal(signal.SIGHUP)
        until(lambda: not before & set(served.workers()))
        served.process.terminate()

        assert served.process.wait(timeout=30) == 0
        assert "Handling signal: term" in served.log.read_text()


@pytest.mark.long  # starts a server
def test_the_command_of_the_container_prepares_the_database_and_becomes_the_server(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/predictions.db", ("python", "-m", "service", "serve")) as served:
        assert "gunicorn" in " ".join(served.processes()[0].cmdline())
        assert "migrations ran now" in served.log.read_text()


def _catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it."""
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def _wait_until_it_waits(process: "subprocess.Popen[bytes]") -> None:
    """Until the kernel lists the process among those that wait for the lock of a file."""
    waiting = re.compile(rf"-> FLOCK .* {process.pid} ")
    deadline = time.monotonic() + 60
    while not waiting.search(Path("/proc/locks").read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
