"""A long input is sent in chunks, in order, and an error says how much of it is stored."""

from collections.abc import Iterator
from typing import Any

import pytest

from service.client.answers import Prediction
from service.client.chunks import answers
from service.client.errors import NoAnswer, Refused


class Sender:
    """Takes at most `most` items at once, and fails for the id `bad`."""

    def __init__(self, most: int = 1000, bad: int | None = None) -> None:
        self.most = most
        self.bad = bad
        self.sent: list[tuple[int, int]] = []

    def __call__(self, items: list[dict[str, Any]], first: int) -> list[Prediction]:
        self.sent.append((first, len(items)))
        if len(items) > self.most:
            raise Refused(413, "Request body too large", "")
        if self.bad in [item["id"] for item in items]:
            raise NoAnswer("", True)
        return [Prediction(0, item["id"]) for item in items]


def items(count: int, taken: list[int] | None = None) -> Iterator[dict[str, Any]]:
    for i in range(count):
        if taken is not None:
            taken.append(i)
        yield {"id": i}


def ids(found: Iterator[Prediction]) -> list[Any]:
    return [answer.observation_id for answer in found]


def test_the_answers_are_in_the_order_of_the_items() -> None:
    sender = Sender()

    assert ids(answers(items(25), 10, sender)) == list(range(25))
    assert sender.sent == [(0, 10), (10, 10), (20, 5)]


def test_an_empty_input_sends_nothing() -> None:
    sender = Sender()

    assert ids(answers(items(0), 10, sender)) == []
    assert sender.sent == []


def test_items_are_taken_only_when_the_answers_before_them_are_used_up() -> None:
    taken: list[int] = []
    found = answers(items(30, taken), 10, Sender())

    before = len(taken)
    for _ in range(10):
        next(found)

    assert (before, len(taken)) == (0, 10)


def test_a_chunk_that_is_too_large_is_halved_and_later_ones_are_not_longer() -> None:
    sender = Sender(most=3)

    assert ids(answers(items(10), 8, sender)) == list(range(10))
    assert sender.sent == [(0, 8), (0, 4), (0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]


def test_two_items_that_are_too_large_together_are_sent_one_by_one() -> None:
    sender = Sender(most=1)

    assert ids(answers(items(3), 2, sender)) == [0, 1, 2]
    assert sender.sent == [(0, 2), (0, 1), (1, 1), (2, 1)]


def test_one_item_that_is_too_large_is_an_error() -> None:
    with pytest.raises(Refused) as raised:
        ids(answers(items(4), 4, Sender(most=0)))

    assert (raised.value.status, raised.value.stored) == (413, 0)


def test_an_error_says_how_many_items_are_stored() -> None:
    found, before = answers(items(100), 10, Sender(bad=37)), []

    with pytest.raises(NoAnswer) as raised:
        before.extend(ids(found))

    assert raised.value.stored == 30
