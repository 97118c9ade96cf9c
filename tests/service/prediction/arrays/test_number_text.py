"""Many numbers become the text that each of them has alone."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.prediction.arrays.number_text import answer_texts, log_texts
from service.prediction.observation import canonical
from tests.service.prediction.arrays.support import NUMBERS, SPECIAL


@given(st.lists(NUMBERS))
def test_numbers_are_written_as_each_alone(numbers: list[float]) -> None:
    assert log_texts(numbers) == list(map(canonical, numbers))
    assert answer_texts(numbers) == list(map(json.dumps, numbers))


def test_special_numbers_are_written_as_each_alone() -> None:
    near = [np.nextafter(x, end) for x in SPECIAL for end in (-np.inf, np.inf)]
    numbers = [sign * float(x) for x in (*SPECIAL, *near) for sign in (-1, 1)]

    assert log_texts(numbers) == list(map(canonical, numbers))
    assert answer_texts(numbers) == list(map(json.dumps, numbers))


def test_random_doubles_are_written_as_each_alone() -> None:
    random = np.random.default_rng(0)
    doubles = random.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    ordinary = 10.0 ** random.uniform(-6, 18, 20_000)
    numbers = [*doubles[np.isfinite(doubles)].tolist(), *ordinary.tolist(), *random.random(20_000).tolist()]

    assert log_texts(numbers) == list(map(canonical, numbers))
    assert answer_texts(numbers) == list(map(json.dumps, numbers))
