"""The newest rows judge, and only rows that neither model was trained on."""

from datetime import timedelta

from serialize.task import Task
from service.learning.retraining.examples import Examples
from service.learning.retraining.holdout import TrainedOn, maturity_of, split, trained_on, usual_rows
from service.storage.learning.rows import LabelTimes
from service.storage.models.store import StoredModel
from tests.support.logged import START

SECOND = timedelta(seconds=1)
BINARY = Task("binary", (False, True), True, 0.5)
NOTHING = TrainedOn(START - SECOND)


def examples(count: int, *, keys: list[int] | None = None, positive: int = 2) -> Examples:
    """Rows with the ids 1, 2, ..., one a second; every `positive`-th one is true."""
    places = range(count)
    return Examples(
        ids=[i + 1 for i in places],
        times=[START + i * SECOND for i in places],
        rows=[{"x": i} for i in places],
        truths=[i % positive == 0 for i in places],
        keys=[(i,) for i in keys or places],
    )


def test_the_newest_rows_judge_and_those_before_choose() -> None:
    found = split(examples(2000), BINARY, NOTHING, set())

    assert (found.training.ids[-1], found.choosing.ids[-1], found.holdout.ids[-1]) == (1400, 1700, 2000)
    assert (len(found.before), found.left_out, found.by_champion) == (1700, {}, 0)


def test_the_size_follows_the_log() -> None:
    assert [usual_rows(count) for count in (100, 750, 2_000, 7_500, 100_000, 10**6)] == [
        200, 250, 300, 300, 2_000, 20_000,
    ]  # fmt: skip


def test_no_row_judges_that_the_champion_was_trained_on() -> None:
    by_time = split(examples(2000), BINARY, TrainedOn(START + 1899 * SECOND), set())
    by_id = split(examples(2000), BINARY, TrainedOn(None, 1900), set())

    for found in (by_time, by_id):
        assert (found.holdout.ids[0], len(found.holdout), found.by_champion) == (1901, 100, 1900)
    assert len(split(examples(2000), BINARY, TrainedOn(START + 3000 * SECOND), set()).holdout) == 0


def test_rows_that_repeat_a_training_row_are_left_out_and_replaced_by_older_ones() -> None:
    # The rows from 1800 on repeat the row 3; row 1799 repeats a row of the base data.
    found = split(examples(2000, keys=[*range(1800), *[3] * 200]), BINARY, NOTHING, {(1799,)})

    assert len(found.holdout) == 300
    assert set(found.holdout.ids) == set(range(1500, 1800))
    assert found.left_out == {"equal to a training row": 1, "equal to an older row of the log": 200}
    assert set(found.before.ids) == set(range(1, 1500))


def test_what_is_left_out_is_counted_even_if_no_row_can_judge() -> None:
    keys = [*range(100), *[200] * 50, *range(50)]

    found = split(examples(200, keys=keys), BINARY, TrainedOn(None, 100), {(200,)})

    assert len(found.holdout) == 0
    assert found.left_out == {"equal to a training row": 50, "equal to an older row of the log": 50}


def test_rows_that_repeat_rows_of_the_holdout_only_may_judge() -> None:
    found = split(examples(2000, keys=[*range(1900), *range(1800, 1900)]), BINARY, NOTHING, set())

    assert (found.holdout.ids[0], len(found.holdout), found.left_out) == (1701, 300, {})


def test_rows_that_repeat_a_training_row_do_not_choose() -> None:
    found = split(examples(2000, keys=[*range(1600), *[3] * 100, *range(1700, 2000)]), BINARY, NOTHING, set())

    assert (len(found.choosing), len(found.chooses)) == (300, 200)


def test_the_holdout_grows_until_the_smaller_class_has_enough_rows() -> None:
    found = split(examples(5000, positive=50), BINARY, NOTHING, set())

    assert sum(map(bool, found.holdout.truths)) == 20
    assert len(split(examples(2000, positive=500), BINARY, NOTHING, set()).holdout) == 1000


def test_the_maturity_is_a_quantile_of_the_label_delay() -> None:
    keys = [LabelTimes(i, START, START + i * SECOND) for i in range(101)]

    assert maturity_of(keys) == 95 * SECOND
    assert maturity_of([]) == timedelta()


def test_a_version_without_a_recorded_window_counts_as_trained_until_it_was_registered() -> None:
    model = StoredModel("a" * 12, "churn", 3, b"", "", "registered", START, "me", None, None)
    trained = StoredModel("a" * 12, "churn", 3, b"", "", "registered", START, "me", 17, None)
    window = {"window": {"until": (START + SECOND).isoformat()}}

    assert trained_on(model, None) == TrainedOn(START)
    assert trained_on(trained, None) == TrainedOn(None, 17)
    assert trained_on(trained, window) == TrainedOn(START + SECOND)
