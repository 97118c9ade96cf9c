"""The reference profile holds the distributions of columns and outputs, in finite JSON numbers."""

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serialize.declarations import Declarations
from serialize.infer_signature import infer_signature
from serialize.reference_profile import profile_columns, profile_outputs
from serialize.task import Task


def profile(values: Any, dtype: Any = None) -> dict[str, Any]:
    table = pd.DataFrame({"c": pd.Series(values, dtype=dtype)})
    found = profile_columns(infer_signature("frame", table, None, Declarations()), table)["c"]
    return dict(json.loads(json.dumps(found, allow_nan=False)))


def test_numbers_have_a_null_rate_moments_percentiles_and_bins_of_equal_count() -> None:
    found = profile([*range(100), None])

    assert (found["count"], found["null_rate"]) == (101, pytest.approx(1 / 101))
    assert (found["mean"], found["std"]) == (49.5, pytest.approx(np.arange(100).std()))
    assert (found["quantiles"][0], found["quantiles"][50], found["quantiles"][100]) == (0, 49.5, 99)
    assert found["bins"]["counts"] == [10] * 10
    assert len(found["bins"]["edges"]) == 11


def test_bins_count_each_value_once_even_if_many_are_equal() -> None:
    found = profile([0.0] * 90 + [1.0, 2.0, 3.0])

    assert sum(found["bins"]["counts"]) == 93
    assert len(found["bins"]["edges"]) == len(found["bins"]["counts"]) + 1


def test_a_constant_is_one_bin() -> None:
    assert profile([7, 7, 7])["bins"] == {"edges": [7.0], "counts": [3]}


def test_categories_are_counted_without_nulls() -> None:
    found = profile(["a", "b", "a", None])

    assert found["counts"] == [{"value": "a", "count": 2}, {"value": "b", "count": 1}]
    assert found["null_rate"] == 0.25
    assert profile([True, True])["counts"] == [{"value": False, "count": 0}, {"value": True, "count": 2}]


def test_text_is_profiled_by_its_length() -> None:
    found = profile([f"{'x' * number}y" for number in range(30)])

    assert found["lengths"]["quantiles"][::100] == [1, 30]


def test_prose_has_a_vocabulary_and_the_share_of_words_that_it_lacks() -> None:
    found = profile([f"the same words and number {number}" for number in range(40)])

    assert found["vocabulary"] == "and number same the words"
    assert found["least_texts"] == 2
    assert found["unknown_words"]["mean"] == pytest.approx(1 / 6)


def test_short_texts_have_no_vocabulary() -> None:
    found = profile([f"C {number}" for number in range(40)])

    assert not {"vocabulary", "least_texts", "unknown_words"} & found.keys()


@pytest.mark.parametrize("dtype", ["float64", "object", "category"])
def test_a_column_of_nulls_alone_has_a_null_rate_of_one(dtype: str) -> None:
    assert profile([None, None], dtype) == {"count": 2, "null_rate": 1.0}


@pytest.mark.parametrize("greatest", [1e150, 1e307, 1.7e308])
def test_the_profile_of_huge_values_is_finite(greatest: float) -> None:
    found = profile([-greatest, 0.0, greatest])

    assert (found["mean"], found["std"]) == (0.0, pytest.approx(greatest * np.sqrt(2 / 3)))
    assert (found["quantiles"][0], found["quantiles"][100]) == (-greatest, greatest)
    assert sum(found["bins"]["counts"]) == 3


def test_outputs_are_profiled_by_the_task() -> None:
    outputs = np.array([[0.75, 0.25], [0.5, 0.5]])

    binary = profile_outputs(Task("binary", ("no", "yes"), "no", 0.5), outputs)
    multiclass = profile_outputs(Task("multiclass", (1, 2)), outputs)
    regression = profile_outputs(Task("regression"), outputs[:, :1])

    assert binary["proba"]["mean"] == 0.625
    assert (multiclass["probas"]["1"]["mean"], multiclass["probas"]["2"]["mean"]) == (0.625, 0.375)
    assert regression["predicted_value"]["mean"] == 0.625


@pytest.mark.parametrize(
    ("values", "dtype", "ends"),
    [
        ([f"2024-05-{day:02}" for day in range(1, 31)], "datetime64[s]", [1714521600.0, 1717027200.0]),
        ([f"2024-05-{day:02}" for day in range(1, 31)], "datetime64[ns, UTC]", [1714521600.0, 1717027200.0]),
        ([date(1969, 1, 1), date(1970, 1, 1)], object, [-365 * 86_400.0, 0.0]),
    ],
)
def test_datetimes_are_numbers_of_seconds_since_1970(values: list[Any], dtype: Any, ends: list[float]) -> None:
    found = profile([*values, None], dtype)

    assert [found["quantiles"][0], found["quantiles"][100]] == ends
    assert sum(found["bins"]["counts"]) == len(values)
    assert ("values" in found) == (len(values) <= 20)


def test_a_datetime_column_of_nulls_has_only_their_share() -> None:
    assert profile([None, None], "datetime64[ns]") == {"count": 2, "null_rate": 1.0}
