"""The watch finds a champion that is significantly worse, at the level of each look."""

import json

import numpy as np

from service.learning.gate.comparison import compare_losses
from service.learning.gate.watch import watch_decision
from tests.service.learning.gate.cases import better, binary


def test_a_champion_that_is_much_worse_is_found_at_the_first_look() -> None:
    case = better(200)

    decision = watch_decision(1, "binary", case.truth, champion=case.champion, previous=case.challenger)

    assert decision.is_worse
    assert decision.losses.low > 0
    assert "200 labels" in decision.reason
    figures = json.loads(json.dumps(decision.to_json(), allow_nan=False))["figures"]
    assert figures["champion"] > figures["previous"]


def test_a_champion_that_is_as_good_or_better_stays() -> None:
    case, same = better(400), binary(400)

    assert not watch_decision(2, "binary", case.truth, champion=case.challenger, previous=case.champion).is_worse
    assert not watch_decision(2, "binary", same.truth, champion=same.champion, previous=same.challenger).is_worse


def test_before_the_labels_of_a_look_are_there_nothing_is_decided() -> None:
    case = better(399)

    decision = watch_decision(2, "binary", case.truth, champion=case.champion, previous=case.challenger)

    assert not decision.is_worse
    assert decision.reason == "Look 2 needs 400 labels; there are 399."


def test_a_comparison_has_the_same_size_in_both_directions() -> None:
    case = better()

    one = compare_losses("binary", case.truth, case.champion, case.challenger, level=0.05)
    other = compare_losses("binary", case.truth, case.challenger, case.champion, level=0.05)

    assert one.difference == -other.difference
    assert one.high < 0 < other.low
    assert np.isclose(one.first, other.second)


def test_a_comparison_of_no_rows_is_json() -> None:
    nothing = np.zeros(0)

    shown = compare_losses("regression", nothing, nothing, nothing, level=0.05).to_json("A", "B")

    assert (shown["rows"], shown["A"], shown["difference"], shown["low"]) == (0, None, None, None)
