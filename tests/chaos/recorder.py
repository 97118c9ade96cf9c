"""Senders that record every answer they get while faults are injected."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.support.passengers import all_passengers

SENDERS = 50
PASSENGERS = all_passengers()

_TIMEOUT_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.005

ObservationId = int | str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A 200: the id, the index of the passenger, the answer, and whether it was a replay."""

    id: ObservationId
    passenger: int
    answer: dict[str, Any]
    replayed: bool


@dataclass(slots=True)
class Journal:
    """The record of one sender. `faults` are answers that must never occur; `interrupted` counts requests without an
    answer, `cut` those with an incomplete one."""

    sent: int = 0
    unavailable: int = 0
    interrupted: int = 0
    cut: int = 0
    acknowledged: list[Acknowledged] = field(default_factory=list)
    answered_at: float = 0.0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)


class Recorder:
    """Posts to /predict from many senders while the block runs. A sender repeats a request with the same id until it
    gets a 200, as a good client does. With `retries` two senders send the same requests at the same time, and again
    later. `aside` is a journal for other senders."""

    def __init__(self, port: int, *, senders: int = SENDERS, retries: bool = False, name: str = "r") -> None:
        self.journals = [Journal() for _ in range(senders)]
        self._port, self._retries, self._name = port, retries, name
        self.aside = Journal()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send_on, args=(i,), daemon=True) for i in range(senders)]

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

    def acknowledged(self) -> list[Acknowledged]:
        """Every received 200."""
        return [one for journal in (*self.journals, self.aside) for one in tuple(journal.acknowledged)]

    def total(self, name: str) -> int:
        """The sum of a count over all senders."""
        return sum(getattr(journal, name) for journal in (*self.journals, self.aside))

    def recovery(self, since: float, within: float = 60.0) -> float:
        """Waits until every sender got a 200 after a time of time.monotonic, and returns the seconds since then. Raises
        AssertionError if that takes longer than `within` seconds."""
        while waiting := sum(journal.answered_at <= since for journal in self.journals):
            assert time.monotonic() < since + within, f"{waiting} senders are not answered again"
            time.sleep(_LOOK_SECONDS)
        return time.monotonic() - since

    def _send_on(self, number: int) -> None:
        source = number // 2 if self._retries else number
        chosen = random.Random(source)
        sender = Sender(self._port, self.journals[number])
        earlier: list[tuple[ObservationId, int]] = []
        count = 0
        while not self._stopping.is_set():
            id_: ObservationId = f"{self._name}-{source}-{count}" if source % 2 else (source << 32) + count
            passenger = chosen.randrange(len(PASSENGERS))
            self._send(sender, id_, passenger)
            count += 1
            if self._retries:
                earlier.append((id_, passenger))
                time.sleep(random.uniform(0, 0.005))
                if len(earlier) > 20:
                    self._send(sender, *earlier.pop(random.randrange(len(earlier))))
        sender.close()

    def _send(self, sender: "Sender", id_: ObservationId, passenger: int) -> None:
        while not sender.is_acknowledged(id_, passenger) and not self._stopping.is_set():
            time.sleep(random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS))


class Sender:
    """One client with a persistent connection and a journal."""

    def __init__(self, port: int, journal: Journal) -> None:
        self._journal = journal
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def is_acknowledged(self, id_: ObservationId, passenger: int) -> bool:
        """Sends once and returns whether the answer was 200."""
        journal = self._journal
        journal.sent += 1
        began = time.monotonic()
        try:
            status, headers, body = self._answer(json.dumps({"id": id_, "observation": PASSENGERS[passenger]}))
        except http.client.IncompleteRead:
            journal.cut += 1
        except ConnectionRefusedError:
            journal.sent -= 1
        except (OSError, http.client.HTTPException) as error:
            journal.interrupted += 1
            if isinstance(error, TimeoutError):
                journal.faults["no answer in time"] += 1
        else:
            journal.slowest = max(journal.slowest, time.monotonic() - began)
            return self._note(id_, passenger, status, headers, body)
        self._connection.close()
        return False

    def _answer(self, body: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        self._connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.headers, response.read()

    def _note(
        self, id_: ObservationId, passenger: int, status: int, headers: http.client.HTTPMessage, body: bytes
    ) -> bool:
        journal = self._journal
        if status == 200:
            replayed = headers.get("Idempotent-Replayed") == "true"
            journal.acknowledged.append(Acknowledged(id_, passenger, json.loads(body), replayed))
            journal.answered_at = time.monotonic()
            return True
        if status == 503 and headers.get("Retry-After") and headers.get_content_type() == "application/problem+json":
            journal.unavailable += 1
        else:
            journal.faults[f"status {status}"] += 1
        return False
