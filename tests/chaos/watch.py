"""Asks the service again and again whether it lives and whether it is ready, and keeps what it says."""

import http.client
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_EVERY_SECONDS = 0.05
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Told:
    """What was told, 0 for no answer, and when it was asked and answered."""

    status: int
    asked: float
    answered: float


class Watch:
    """Asks /livez and /readyz, each from a thread of its own and on a new connection every time, while the block
    runs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = threading.Event()
        self.told: dict[str, list[Told]] = {"/livez": [], "/readyz": []}
        self._threads = [threading.Thread(target=self._ask_on, args=(path,), daemon=True) for path in self.told]

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

    def untruths(self, began: float, ended: float, within: float, *, kills: bool, partial: bool) -> list[str]:
        """What was told wrong: that the service is ready while the database was gone, that it is not for longer than
        `within` seconds afterwards, that it does not live. Where a worker was killed, no answer is no
        untruth; where some requests get through, to be ready is none."""
        ready = self.told["/readyz"]
        lives = self.told["/livez"]
        faults = [f"/livez {one.status}" for one in lives if one.status != 200 and not (kills and not one.status)]
        if not partial and any(one.status == 200 and began < one.asked and one.answered < ended for one in ready):
            faults.append("/readyz 200 while it was not")
        if not any(one.status == 503 and one.answered > began for one in ready):
            faults.append("/readyz never 503")
        if not any(one.status == 200 and ended < one.answered < ended + within for one in ready):
            faults.append("/readyz not 200 again in time")
        return faults

    def slowest(self, path: str) -> float:
        """The longest that an answer took."""
        return max(one.answered - one.asked for one in self.told[path])

    def _ask_on(self, path: str) -> None:
        while not self._stopping.wait(_EVERY_SECONDS):
            asked = time.monotonic()
            status = self._status(path)
            self.told[path].append(Told(status, asked, time.monotonic()))

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
