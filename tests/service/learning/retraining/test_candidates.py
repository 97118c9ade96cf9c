"""The newest block of rows chooses among recipes; one that is no better than a constant is no candidate."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from serialize.declarations import Declarations
from serialize.frame import as_table
from serialize.infer_signature import infer_signature
from serialize.task import Task
from service.learning.retraining.candidates import (
    ALL,
    WEIGHTED,
    Candidate,
    Fitted,
    Recipe,
    Skipped,
    Window,
    best,
    choose,
    constant_loss,
    parse_window,
    recency_weights,
    recipes,
)
from service.learning.retraining.examples import Examples
from tests.support.logged import START

BINARY = Task("binary", (False, True), True, 0.5)


def flipped(count: int, flip: int, seed: int = 0) -> Examples:
    """Rows whose truth follows x up to the row `flip`, and -x from there on."""
    x = np.random.RandomState(seed).normal(size=count)
    truth = np.where(np.arange(count) < flip, x > 0, x < 0)
    times = [START + timedelta(seconds=i) for i in range(count)]
    rows = [{"x": value} for value in x.tolist()]
    return Examples(range(1, count + 1), times, rows, truth.tolist(), [(i,) for i in range(count)])


def signature() -> Any:
    container, table = as_table(pd.DataFrame({"x": [0.5, -0.5]}))
    return infer_signature(container, table, None, Declarations.of())


def fit(recipe: Recipe, examples: Examples) -> Fitted:
    if recipe.is_weighted:
        raise Skipped("the pipeline takes no weights")
    chosen = recipe.chosen(examples)
    X, y = pd.DataFrame(list(chosen.rows)), list(chosen.truths)
    return Fitted(LogisticRegression().fit(X, y), chosen, len(chosen))


def candidates(tried: list[Recipe], training: Examples, chooses: Examples) -> list[Candidate]:
    return list(choose(tried, fit, BINARY, signature(), training, chooses))


def test_after_a_flip_the_window_since_then_is_chosen() -> None:
    rows = flipped(2000, flip=1000)

    found = candidates(recipes(1400), rows.between(0, 1400), rows.between(1400, 1700))

    chosen = best(found)
    assert chosen is not None
    assert chosen.recipe.name == "the newest 350 rows"
    assert chosen.recipe.chosen(rows.between(0, 1700)).ids == list(range(1051, 1701))
    assert [each.skipped for each in found if each.recipe.name in {ALL, WEIGHTED}] == [
        "it does not beat a constant, whose loss is 0.2491",
        "the pipeline takes no weights",
    ]


def test_without_a_change_all_rows_are_a_candidate() -> None:
    rows = flipped(2000, flip=2000)

    found = candidates([Recipe(ALL)], rows.between(0, 1400), rows.between(1400, 1700))

    assert found[0].skipped is None
    assert found[0].rows == 1400


def test_a_fit_on_noise_is_no_candidate() -> None:
    rows = flipped(2000, flip=2000)
    noise = Examples(rows.ids, rows.times, rows.rows, np.random.RandomState(1).permutation(rows.truths).tolist(), [])

    found = list(
        choose(
            [Recipe(ALL)],
            fit,
            BINARY,
            signature(),
            rows_without_keys(noise, 0, 1400),
            rows_without_keys(noise, 1400, 1700),
        )
    )

    assert best(found) is None


def rows_without_keys(rows: Examples, start: int, end: int) -> Examples:
    return Examples(rows.ids[start:end], rows.times[start:end], rows.rows[start:end], rows.truths[start:end])


def test_a_fit_that_fails_is_skipped_and_its_message_which_may_hold_values_is_not_kept() -> None:
    rows = flipped(300, flip=0)
    one_class = Examples(rows.ids, rows.times, rows.rows, [True] * 300, rows.keys)

    (found,) = candidates([Recipe(ALL)], one_class, rows)

    assert found.skipped == "it cannot be fitted (ValueError)"


def test_a_lack_of_memory_is_no_reason_against_a_recipe() -> None:
    def no_memory(_: Recipe, __: Examples) -> Fitted:
        raise MemoryError

    rows = flipped(300, flip=0)
    with pytest.raises(MemoryError):
        list(choose([Recipe(ALL)], no_memory, BINARY, signature(), rows, rows))


def test_a_window_is_a_number_of_rows_or_of_days() -> None:
    rows = flipped(2000, flip=0)

    assert parse_window("500") == Window(rows=500)
    assert parse_window("14d") == Window(time=timedelta(days=14))
    assert Window(rows=500).start(rows) == 1500
    assert Window(rows=5000).start(rows) == 0
    assert Window(time=timedelta(seconds=99)).start(rows) == 1900
    for wrong in ("0", "-5", "2 weeks", "5h", "", "100000d"):
        with pytest.raises(ValueError, match="is not a window; give a number"):
            parse_window(wrong)


def test_windows_halve_down_to_a_hundred_rows() -> None:
    assert [recipe.name for recipe in recipes(1000)[2:]] == [
        "the newest 1000 rows", "the newest 500 rows", "the newest 250 rows", "the newest 125 rows",
    ]  # fmt: skip
    assert [recipe.name for recipe in recipes(1000, Window(rows=40))] == [ALL, WEIGHTED, "the newest 40 rows"]


def test_the_weight_halves_with_each_quarter_of_the_rows() -> None:
    weights = recency_weights(2, 400)

    assert weights[-1] == 1
    assert weights[-101] == pytest.approx(0.5)
    assert weights[0] == 1 / 16 < weights[2]


def test_the_constant_is_the_best_one_for_each_task() -> None:
    assert constant_loss(BINARY, np.array([0, 0, 0, 1])) == pytest.approx(0.1875)
    assert constant_loss(Task("multiclass", ("a", "b", "c")), np.array([0, 1, 2, 2])) == pytest.approx(0.625)
    assert constant_loss(Task("regression"), np.array([1.0, 3.0])) == 1.0
