"""Query parameters are parsed as documented, and all faults are reported."""

from typing import Any

import pytest

from service.errors import InvalidQuery
from service.prediction.filter import DriftQuery, PerformanceQuery, Selection
from service.web.query import drift_query, performance_query

COLUMNS = ("Sex", "Age")
NOON = 1_769_860_800_000_000


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-31T12:00:00Z", "2026-01-31T12:00", "2026-01-31T14:00:00+02:00", "2026-01-31T14:00:00 02:00"),
        *("2026-01-31T07:00:00-05:00", "2026-01-31T12:00:00.000000"),
    ],
)
def test_a_time_is_parsed_as_iso_8601(text: str) -> None:
    assert performance_query({"since": [text]}, COLUMNS).selection.since == NOON


def test_a_date_means_its_midnight() -> None:
    query = performance_query({"since": ["2026-01-31"], "until": ["2026-02-01"]}, COLUMNS)

    assert query == PerformanceQuery(Selection(None, NOON - 43_200_000_000, NOON + 43_200_000_000))


def test_all_parameters_can_be_combined() -> None:
    query = performance_query({"model_version": ["a"], "window": ["1w"], "by": ["Sex"]}, COLUMNS)

    assert query == PerformanceQuery(Selection("a"), "1w", "Sex")


def test_the_last_thousand_rows_are_compared_unless_a_time_is_given() -> None:
    assert drift_query({}) == DriftQuery(Selection(), 1000)
    assert drift_query({"last": ["7"]}).last == 7
    assert drift_query({"since": ["2026-01-31"]}).last is None
    assert drift_query({"since": ["2026-01-31"], "last": ["7"]}).last == 7


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"since": ["yesterday"]}, ["since"]),
        *(
            ({"until": [no]}, ["until"])
            for no in ("2025-02-29", "1900-02-29", "2026-04-31", "2026-01-01T24:00", "20260101")
        ),
        ({"since": ["2026-02-30"], "until": ["1e9"]}, ["since", "until"]),
        ({"window": ["2d"], "by": ["Name"]}, ["window", "by"]),
        ({"by": [""]}, ["by"]),
        ({"model_version": ["0123\0"], "window": ["x"]}, ["window", "model_version"]),
        ({"by": ["Sex", "Age"]}, ["by"]),
        ({"groupby": ["Sex"], "window": ["x"]}, ["groupby", "window"]),
        ({"since": ["2026-01-01T00:00:00+14:00x"]}, ["since"]),
    ],
)
def test_all_faults_are_reported(arguments: dict[str, list[str]], named: list[str]) -> None:
    with pytest.raises(InvalidQuery) as refused:
        performance_query(arguments, COLUMNS)

    assert [fault.pointer for fault in refused.value.faults] == [f"/{name}" for name in named]
    assert refused.value.status == 422


@pytest.mark.parametrize("last", ["0", "-1", "1.5", "many", "100001", "9" * 30, "١٢", "+5"])
def test_a_number_of_rows_is_an_integer_in_range(last: str) -> None:
    with pytest.raises(InvalidQuery, match="last: expected an integer from 1 to 100000"):
        drift_query({"last": [last]})


@pytest.mark.parametrize("since", ["1000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2024-02-29"])
def test_extreme_times_are_accepted(since: Any) -> None:
    assert isinstance(performance_query({"since": [since]}, COLUMNS).selection.since, int)
