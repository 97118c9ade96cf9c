"""Short simulations of `python -m benchmarks.learning.gate`: how often the gate is wrong, and whether it follows a
change."""

import pytest

from benchmarks.learning.gate import equal, flipped, noise, repeated, unchanged


def test_a_world_that_flips_has_its_new_model_promoted() -> None:
    found = flipped(6)

    assert found["promoted_and_near"] == 6


@pytest.mark.long
def test_few_promotions_are_false_in_an_unchanged_world_and_against_noise() -> None:
    for simulate in (unchanged, noise):
        assert simulate(40, seed=1)["false"] <= 2


@pytest.mark.long
def test_repeated_attempts_do_not_promote_a_worse_model_in_the_end() -> None:
    assert repeated(15, seed=1)["false"] <= 2


@pytest.mark.long
def test_models_that_are_equal_differ_significantly_as_often_as_the_level_says() -> None:
    found = equal(150, 1, seed=1)

    assert found["below"] + found["above"] <= 9  # 3.75 are expected at the level; 9 is almost three deviations above
