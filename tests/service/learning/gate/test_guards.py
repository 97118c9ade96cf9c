"""Guards test each large group, and all of them together at 5 %."""

import numpy as np

from service.learning.gate.guards import guarded_groups


def test_only_groups_of_at_least_a_hundred_rows_are_tested() -> None:
    groups = guarded_groups(np.ones(299), {"Port": np.repeat(["S", "C"], [200, 99])}, None)

    assert [(group.value, group.rows, group.is_worse) for group in groups] == [("S", 200, True)]


def test_values_are_json_and_rows_without_a_value_are_a_group() -> None:
    values = np.array([1.5] * 100 + [np.nan] * 100 + [None] * 100 + [np.inf] * 100, dtype=object)

    groups = guarded_groups(np.zeros(400), {"Fare": values}, None)

    assert [(group.value, group.rows) for group in groups] == [(1.5, 100), (None, 200), ("inf", 100)]
    assert not any(group.is_worse for group in groups)


def test_one_cluster_cannot_be_tested() -> None:
    (group,) = guarded_groups(np.ones(100), {"Port": np.zeros(100)}, np.zeros(100))

    assert (group.p_value, group.is_worse) == (None, False)


def test_many_groups_without_a_change_are_worse_by_chance_in_one_of_twenty_cases() -> None:
    rng = np.random.default_rng(0)
    guards = {"Region": np.repeat(np.arange(20), 100)}

    alarms = sum(
        any(group.is_worse for group in guarded_groups(rng.normal(size=2_000), guards, None)) for _ in range(400)
    )

    assert alarms <= 34  # 20 are expected at most; 34 is three standard deviations above
