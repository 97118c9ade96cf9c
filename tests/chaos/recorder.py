"""Senders that record every answer they get while faults are injected."""

import random
import threading
import time
from types import TracebackType
from typing import Self

from tests.chaos.sender import PASSENGERS, Acknowledged, Journal, Labelled, ObservationId, Sender

SENDERS = 50

_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.005
_LABELLED_IDS = 4  # each sender labels some of its last ids, so that some get several labels


class Recorder:
    """Posts to /predict and /update from many senders while the block runs. A sender repeats a request until it gets a
    200, as a good client does; about one request in four is a label of an earlier prediction, some of them corrections.
    With `retries` two senders send the same predictions at the same time, and again later, and one of them labels.
    `aside` is a journal for other senders. Recorders on one database need numbers of their own, from `first` on."""

    def __init__(
        self,
        port: int,
        *,
        senders: int = SENDERS,
        retries: bool = False,
        labels: bool = True,
        name: str = "r",
        first: int = 0,
    ) -> None:
        self.journals = [Journal() for _ in range(senders)]
        self._port, self._retries, self._labels, self._name, self._first = port, retries, labels, name, first
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
        """Every received 200 of /predict."""
        return [one for journal in (*self.journals, self.aside) for one in tuple(journal.acknowledged)]

    def labelled(self) -> list[Labelled]:
        """Every label that was sent, those of one id in the order of sending."""
        return [one for journal in (*self.journals, self.aside) for one in tuple(journal.labels)]

    def unknown(self) -> list[ObservationId]:
        """Every id that /update did not know."""
        return [one for journal in (*self.journals, self.aside) for one in tuple(journal.unknown)]

    def total(self, name: str) -> int:
        """The sum of a count over all senders."""
        return sum(getattr(journal, name) for journal in (*self.journals, self.aside))

    def recovery(self, since: float, within: float = 60.0) -> float:
        """Waits until every sender got a 200 of /predict after a time of time.monotonic, and returns the seconds since
        then. Raises AssertionError if that takes longer than `within` seconds."""
        while waiting := sum(journal.answered_at <= since for journal in self.journals):
            assert time.monotonic() < since + within, f"{waiting} senders are not answered again"
            time.sleep(_LOOK_SECONDS)
        return time.monotonic() - since

    def _send_on(self, number: int) -> None:
        source = self._first + (number // 2 if self._retries else number)
        chosen = random.Random(source)
        sender = Sender(self._port, self.journals[number])
        labels = self._labels and not (self._retries and number % 2)
        earlier: list[tuple[ObservationId, int]] = []
        given: dict[ObservationId, bool] = {}
        count = 0
        while not self._stopping.is_set():
            id_: ObservationId = f"{self._name}-{source}-{count}" if source % 2 else (source << 32) + count
            passenger = chosen.randrange(len(PASSENGERS))
            self._send(sender, id_, passenger)
            if labels and count % 3 == 0:
                self._label(sender, id_, given)
            count += 1
            if self._retries:
                earlier.append((id_, passenger))
                time.sleep(random.uniform(0, 0.005))
                if len(earlier) > 20:
                    self._send(sender, *earlier.pop(random.randrange(len(earlier))))
        sender.close()

    def _send(self, sender: Sender, id_: ObservationId, passenger: int) -> None:
        while not sender.is_acknowledged(id_, passenger) and not self._stopping.is_set():
            self._pause()

    def _label(self, sender: Sender, newest: ObservationId, given: dict[ObservationId, bool]) -> None:
        """Labels one of the last ids. An id that has a label gets the other one."""
        if self._stopping.is_set():  # the prediction may not be acknowledged
            return
        given[newest] = random.random() < 0.5
        if len(given) > _LABELLED_IDS:
            del given[next(iter(given))]
        id_ = random.choice(tuple(given))
        given[id_] = not given[id_]
        labelled = sender.labels(id_, given[id_])
        while not sender.is_labelled(labelled) and not self._stopping.is_set():
            self._pause()
        if labelled.answer is None:  # the prediction was erased
            del given[id_]

    def _pause(self) -> None:
        time.sleep(random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS))
