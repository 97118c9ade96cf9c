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
_LABELLED_REQUESTS = 4  # each sender labels ids of its last requests, so that some get several labels
_ARRAY_EVERY, _ARRAY_ITEMS = 5, 40


class Recorder:
    """Posts to /predict and /update from many senders while the block runs. A sender repeats a request until it gets a
    200, as a good client does; about one request in four is a label of an earlier prediction, some of them corrections.
    One sender in five sends arrays, of predictions and of labels.
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
        items = _ARRAY_ITEMS if source % _ARRAY_EVERY == _ARRAY_EVERY - 1 else 1
        earlier: list[list[tuple[ObservationId, int]]] = []
        given: dict[ObservationId, bool] = {}
        count = 0
        while not self._stopping.is_set():
            predictions = [
                (self._id(source, items * count + i), chosen.randrange(len(PASSENGERS))) for i in range(items)
            ]
            self._send(sender, predictions)
            if labels and count % 3 == 0:
                self._label(sender, [id_ for id_, _ in predictions], given)
            count += 1
            if self._retries:
                earlier.append(predictions)
                time.sleep(random.uniform(0, 0.005))
                if len(earlier) > 20:
                    self._send(sender, earlier.pop(random.randrange(len(earlier))))
        sender.close()

    def _id(self, source: int, number: int) -> ObservationId:
        return f"{self._name}-{source}-{number}" if source % 2 else (source << 32) + number

    def _send(self, sender: Sender, predictions: list[tuple[ObservationId, int]]) -> None:
        while not self._stopping.is_set():
            is_array = len(predictions) > 1
            if sender.are_acknowledged(predictions) if is_array else sender.is_acknowledged(*predictions[0]):
                return
            self._pause()

    def _label(self, sender: Sender, newest: list[ObservationId], given: dict[ObservationId, bool]) -> None:
        """Labels some of the last ids, as many as are new. An id that has a label gets the other one."""
        if self._stopping.is_set():  # the predictions may not be acknowledged
            return
        given.update((id_, random.random() < 0.5) for id_ in newest)
        while len(given) > _LABELLED_REQUESTS * len(newest):
            del given[next(iter(given))]
        ids = random.sample(tuple(given), len(newest))
        given.update((id_, not given[id_]) for id_ in ids)
        labels = [sender.labels(id_, given[id_]) for id_ in ids]
        while not self._stopping.is_set():
            if sender.are_labelled(labels) if len(labels) > 1 else sender.is_labelled(labels[0]):
                break
            self._pause()
        for one in labels:
            if one.answer is None:  # the prediction was erased
                del given[one.id]

    def _pause(self) -> None:
        time.sleep(random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS))
