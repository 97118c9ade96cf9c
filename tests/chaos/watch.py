"""Polls the health checks of the service and records the answers."""

import http.client
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_EVERY_SECONDS = 0.05
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Health:
    """The status, 0 for no answer, and the times of the request and the answer."""

    status: int
    asked: float
    answered: float


class Watch:
    """Polls /livez and /readyz while the block runs, each in its own thread and always on a new connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = threading.Event()
        self.answers: dict[str, list[Health]] = {"/livez": [], "/readyz": []}
        self._threads = [threading.Thread(target=self._ask_on, args=(path,), daemon=True) for path in self.answers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def errors(self, began: float, ended: float, within: float, *, kills: bool, partial: bool) -> list[str]:
        """Wrong answers: ready during an outage from `began` to `ended`, not ready more than `within` seconds later, or
        not alive. A missing answer is accepted if the fault `kills` workers, and ready is accepted during a `partial`
        outage."""
        ready = self.answers["/readyz"]
        lives = self.answers["/livez"]
        faults = [f"/livez {one.status}" for one in lives if one.status != 200 and not (kills and not one.status)]
        if not partial and any(one.status == 200 and began < one.asked and one.answered < ended for one in ready):
            faults.append("/readyz 200 while it was not")
        if not any(one.status == 503 and one.answered > began for one in ready):
            faults.append("/readyz never 503")
        if not any(one.status == 200 and ended < one.answered < ended + within for one in ready):
            faults.append("/readyz not 200 again in time")
        return faults

    def slowest(self, path: str) -> float:
        """The longest time to an answer, in seconds."""
        return max(one.answered - one.asked for one in self.answers[path])

    def _ask_on(self, path: str) -> None:
        while not self._stopping.wait(_EVERY_SECONDS):
            asked = time.monotonic()
            status = self._status(path)
            self.answers[path].append(Health(status, asked, time.monotonic()))

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
