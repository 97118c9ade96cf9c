"""Polls /livez from a process of its own, which the senders do not slow: `python -m tests.chaos.livez PORT...` prints
the slowest answer in seconds and the number of answers that were not 200, as JSON, when its input ends."""

import http.client
import json
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

from tests.support.passengers import PROJECT

_EVERY_SECONDS = 0.02


class Livez:
    """Polls each port while the block runs, always on a new connection. Then `slowest` and `failed` are known."""

    def __init__(self, *ports: int) -> None:
        self._command = (sys.executable, "-m", "tests.chaos.livez", *map(str, ports))
        self.slowest = 0.0
        self.failed = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        output, _ = self._process.communicate("")
        found = json.loads(output)
        self.slowest, self.failed = found["slowest"], found["failed"]


def _ask_on(port: int, stopping: threading.Event, taken: list[float], failed: list[int]) -> None:
    while not stopping.wait(_EVERY_SECONDS):
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", "/livez")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        taken.append(time.monotonic() - began)
        if status != 200:
            failed.append(status)


def _main(ports: list[int]) -> None:
    stopping, taken, failed = threading.Event(), list[float](), list[int]()
    threads = [threading.Thread(target=_ask_on, args=(port, stopping, taken, failed)) for port in ports]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"slowest": max(taken, default=0.0), "failed": len(failed)}))  # noqa: T201 - its output


if __name__ == "__main__":
    _main([int(port) for port in sys.argv[1:]])
