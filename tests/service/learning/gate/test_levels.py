"""The levels of all attempts add up to 5 %, and looks come at doubling numbers of labels."""

import pytest

from service.learning.gate.levels import labels_of_look, level, looks


def test_the_level_falls_with_the_attempt_and_all_levels_add_up_to_five_percent() -> None:
    assert [level(attempt) for attempt in (1, 2, 3)] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert sum(level(attempt) for attempt in range(1, 10_000)) == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "due"), [(0, 0), (199, 0), (200, 1), (399, 1), (400, 2), (799, 2), (800, 3), (1_000_000, 13)]
)
def test_looks_are_due_at_200_labels_and_at_each_double(labels: int, due: int) -> None:
    assert looks(labels) == due
    assert all(labels_of_look(look) <= labels for look in range(1, due + 1))
    assert labels_of_look(due + 1) > labels


def test_attempts_and_looks_count_from_one() -> None:
    for function in (level, labels_of_look):
        with pytest.raises(ValueError, match="first one is 1"):
            function(0)
