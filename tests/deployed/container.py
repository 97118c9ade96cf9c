"""Builds the image, or takes IMAGE, and checks it in a container: `python -m tests.deployed.container [IMAGE]`.

It needs podman or docker, and says so if there is neither. CONTAINER_ENGINE is another command for the engine, such as
`podman --runtime runc`; CONTAINER_BUILD and CONTAINER_RUN are further options of its commands build and run."""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
import requests

from tests.support.passengers import PROBA, PROJECT, prediction
from tests.support.served import free_port
from tests.support.waiting import until

_MOST_MEGABYTES = 550  # on top of the base image
_READY_SECONDS = 90
_HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
_HOLD_LOCK = """
import fcntl, time
fcntl.flock(lock := open("/data/predictions.db.lock", "w"), fcntl.LOCK_EX)
print("held")
time.sleep(600)
"""


class Failed(AssertionError):
    """A check failed; the message is the check."""


class Engine:
    """The command line of podman or docker."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self.is_podman = os.path.basename(command[0]) == "podman"

    def call(self, *arguments: str, fails: bool = False) -> str:
        """What a command prints; with `fails`, which a command may that fails, its errors too. Raises Failed."""
        ran = subprocess.run((*self._command, *arguments), cwd=PROJECT, capture_output=True, text=True, check=False)
        if ran.returncode and not fails:
            raise Failed(f"{' '.join(arguments)}: {ran.stdout}{ran.stderr}")
        return (ran.stdout + (ran.stderr if fails else "")).strip()

    def run(self, *arguments: str, **options: Any) -> str:
        """The same for `run` with the user's options."""
        return self.call("run", *shlex.split(os.environ.get("CONTAINER_RUN", "")), *arguments, **options)


class Container:
    """A running container of the image."""

    def __init__(self, engine: Engine, name: str, port: int) -> None:
        self._engine = engine
        self.name = name
        self.url = f"http://127.0.0.1:{port}"

    def wait_until_ready(self) -> None:
        """Waits for /readyz. Raises Failed if the container ends or takes too long."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and self.state("Running") == "true":
            with suppress(requests.RequestException):
                if requests.get(self.url + "/readyz", timeout=2).ok:
                    return
            time.sleep(0.2)
        raise Failed(f"the service is ready; its log:\n{self.log()}")

    def post(self, path: str, body: Any) -> requests.Response:
        """POSTs JSON."""
        return requests.post(self.url + path, json=body, timeout=30)

    def execute(self, *command: str) -> str:
        """The output of a command in the container."""
        return self._engine.call("exec", self.name, *command)

    def state(self, name: str) -> str:
        """One value of the container's state."""
        return self._engine.call("inspect", "--format", f"{{{{.State.{name}}}}}", self.name)

    def log(self) -> str:
        """All that it wrote to its standard output and error."""
        return self._engine.call("logs", self.name, fails=True)

    def stop(self) -> tuple[int, float]:
        """Sends SIGTERM and waits. Returns the exit status and the seconds that it took."""
        began = time.monotonic()
        self._engine.call("stop", "--time", "30", self.name)
        return int(self.state("ExitCode")), time.monotonic() - began

    def remove(self) -> None:
        """Ends and removes it."""
        self._engine.call("rm", "--force", self.name)


class Checks:
    """The checks of one image."""

    def __init__(self, engine: Engine, image: str) -> None:
        self._engine = engine
        self._image = image
        self._run = secrets.token_hex(4)

    @contextmanager
    def _started(self, *options: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
        name, port = f"prediction-service-{self._run}-{secrets.token_hex(2)}", free_port()
        publish = ("--publish", f"127.0.0.1:{port}:5000")
        self._engine.run("--detach", "--name", name, *publish, *options, self._image, *command)
        container = Container(self._engine, name, port)
        try:
            yield container
        finally:
            container.remove()

    @contextmanager
    def _volume(self) -> Iterator[str]:
        name = f"prediction-service-{self._run}"
        self._engine.call("volume", "create", name)
        try:
            yield name
        finally:
            self._engine.call("volume", "rm", "--force", name)

    def content(self) -> None:
        """What is in the image, and how large it is."""
        sizes = self._engine.run("--rm", self._image, "du", "-s", "--block-size=MB", "/venv", "/app")
        size = sum(int(line.partition("MB")[0]) for line in sizes.splitlines())
        _expect(size < _MOST_MEGABYTES, f"the libraries and the code take {size} MB, under {_MOST_MEGABYTES}")
        names = self._engine.run("--rm", self._image, "ls", "-A", "/app").split()
        _expect(not {"tests", "benchmarks", ".git", "docs"} & set(names), "no tests and no repository are in the image")
        found = self._engine.run("--rm", self._image, "sh", "-c", "command -v gcc cc make pytest || echo none")
        _expect(found == "none", "no compiler and no test tools are in the image")
        told = self._engine.run("--rm", self._image, "python", "-m", "service", "--help")
        _expect("migrate" in told, "another command runs in its place")

    def without_settings(self) -> None:
        """A start without any setting, as in the README."""
        with self._started() as container:
            container.wait_until_ready()
            answer = container.post("/predict", prediction(0)).json()
            _expect(abs(answer["proba"] - PROBA) < 1e-4, "/predict answers")
            updated = container.post("/update", {"id": 0, "true_class": 1}).json()
            _expect(updated["true_class"] is True, "/update answers")
            _expect(container.execute("id", "-u") != "0", "the user is not root")
            started = container.execute("cat", "/proc/1/cmdline")
            _expect("gunicorn" in started and not started.startswith("sh"), "the first process is the service itself")
            _expect("event=request" in container.log(), "the log goes to the standard output")
            _expect("event=ephemeral-log" in container.log(), "without a volume it warns that the log will be lost")
            self._expect_healthy(container)
            status, seconds = container.stop()
            _expect(status == 0 and seconds < 10, f"SIGTERM ends it with 0, after {seconds:.1f} s")

    def _expect_healthy(self, container: Container) -> None:
        if self._engine.is_podman:
            self._engine.call("healthcheck", "run", container.name)
        else:
            deadline = time.monotonic() + 60
            while container.state("Health.Status") != "healthy" and time.monotonic() < deadline:
                time.sleep(1)
            _expect(container.state("Health.Status") == "healthy", "the state is healthy")
        _expect(True, "the health check passes")

    def hardened(self) -> None:
        """A read-only root file system, no capabilities, and a volume that keeps the log."""
        no_temporary = ("--read-only-tmpfs=false",) if self._engine.is_podman else ()
        with self._volume() as volume:
            options = (*_HARDENED, *no_temporary, "--volume", f"{volume}:/data")
            with self._started(*options) as container:
                container.wait_until_ready()
                first = container.post("/predict", prediction(7)).json()
                container.post("/update", {"id": 7, "true_class": 0})
                report = container.execute("python", "-m", "service", "report", "-o", "/data/report.html")
                _expect("Wrote /data/report.html" in report, "read-only, without /tmp, a report is written")
                status, _ = container.stop()
                _expect("event=ephemeral-log" not in container.log(), "with a volume it does not warn of that")
                _expect(status == 0, "read-only and without capabilities it serves, and SIGTERM ends it with 0")
            with self._started(*options) as container:
                container.wait_until_ready()
                again = container.post("/predict", prediction(7))
                _expect(again.headers.get("Idempotent-Replayed") == "true", "a new container has the row of the last")
                _expect(again.json() == {**first, "true_class": False}, "the row has its probability and its label")
            self._stops_early(volume)

    def _stops_early(self, volume: str) -> None:
        """SIGTERM while the start waits for another process that migrates the same log."""
        options = ("--volume", f"{volume}:/data")
        with self._started(*options, command=("python", "-c", _HOLD_LOCK)) as holder:
            until(lambda: "held" in holder.log())
            with self._started(*options) as waiting:
                until(lambda: "predictions.db.lock" in waiting.execute("ls", "-l", "/proc/1/fd"))
                status, seconds = waiting.stop()
        _expect(status == 143 and seconds < 5, f"SIGTERM ends a start that waits with 143, after {seconds:.1f} s")

    def without_volume(self) -> None:
        """A read-only root file system and nowhere to write."""
        told = self._engine.run("--rm", *_HARDENED, self._image, fails=True)
        named = all(part in told for part in ("/data", "User 10001", "DATABASE_URL"))
        _expect(named and "Traceback" not in told, "without a volume it names the folder, the user and the variable")


def _expect(holds: bool, check: str) -> None:
    if not holds:
        raise Failed(check)
    click.echo(f"ok: {check}")


def main(image: str | None = None) -> int:
    """Runs all checks, prints each, and returns the exit status."""
    found = next((name for name in ("podman", "docker") if shutil.which(name)), None)
    command = shlex.split(os.environ.get("CONTAINER_ENGINE", found or ""))
    if not command:
        click.echo("NOT CHECKED: the image needs podman or docker, and neither is installed.")
        return 0
    engine = Engine(command)
    try:
        if image is None:
            image = "prediction-service:checked"
            options = shlex.split(os.environ.get("CONTAINER_BUILD", ""))
            form = ("--format=docker",) if engine.is_podman else ()  # its own form knows no health check
            engine.call("build", *form, *options, "--tag", image, ".")
            _expect(True, "the image is built")
        checks = Checks(engine, image)
        for check in (checks.content, checks.without_settings, checks.hardened, checks.without_volume):
            check()
    except AssertionError as failed:
        click.echo(f"FAILED: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
