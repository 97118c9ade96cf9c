"""What requests hold of the budget, in which order they get it, and that they give it back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import BodyTooLarge, Unavailable
from service.web.body_budget import BodyBudget, Held
from tests.support.waiting import WAIT_SECONDS, until


def free(budget: BodyBudget) -> tuple[int, int]:
    return budget.unparsed.free, budget.parsed.free


def test_a_body_without_room_is_unavailable_before_it_is_read() -> None:
    budget = BodyBudget(200, WAIT_SECONDS)
    first, second = Held(budget), Held(budget)
    first.hold_body(60)

    with pytest.raises(Unavailable) as refused:
        second.hold_body(41)

    assert (refused.value.reason, refused.value.headers) == ("memory", {"Retry-After": "1"})
    second.hold_body(40)
    first.hold_body(10)
    second.hold_body(90)
    assert free(budget) == (0, 100)


def test_a_body_that_can_never_be_parsed_is_too_large() -> None:
    with pytest.raises(BodyTooLarge, match="MAX_BYTES_IN_FLIGHT"):
        Held(BodyBudget(200, WAIT_SECONDS)).hold_parsed(101)


def test_a_body_waits_to_be_parsed_until_others_are_answered() -> None:
    budget = BodyBudget(200, WAIT_SECONDS)
    first, second = Held(budget), Held(budget)
    first.hold_parsed(60)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.hold_parsed, 70)
        until(lambda: bool(budget.parsed._waiting))
        first.hold_answer(31)
        assert not waiting.done()
        first.hold_answer(30)
        waiting.result(WAIT_SECONDS)

    assert free(budget) == (100, 0)
    first.release()
    second.release()
    assert free(budget) == (100, 100)


def test_a_body_that_waits_too_long_is_unavailable() -> None:
    budget = BodyBudget(200, 0.01)
    first, second = Held(budget), Held(budget)
    first.hold_parsed(60)

    with pytest.raises(Unavailable, match="no memory"):
        second.hold_parsed(70)

    first.release()
    second.release()
    assert free(budget) == (100, 100)


def test_an_answer_is_held_even_without_room() -> None:
    budget = BodyBudget(200, WAIT_SECONDS)

    Held(budget).hold_answer(150)

    assert free(budget) == (100, -50)


def test_long_refusals_leave_half_of_the_room_to_others() -> None:
    budget = BodyBudget(200, WAIT_SECONDS)
    first, second = Held(budget), Held(budget)

    assert first.try_answer(30)
    assert first.try_answer(40)
    assert not second.try_answer(11)

    assert free(budget) == (100, 60)


def test_releasing_twice_changes_nothing() -> None:
    budget = BodyBudget(200, WAIT_SECONDS)
    held = Held(budget)
    held.hold_body(50)
    held.hold_parsed(50)

    held.release()
    held.release()

    assert free(budget) == (100, 100)
