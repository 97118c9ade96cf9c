"""The signature is learned from all rows, and a declaration that contradicts them is refused."""

import sys
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serialize import DumpError
from serialize.declarations import Declarations
from serialize.infer_signature import MAX_CATEGORIES, infer_signature
from serialize.signature import Column


class Nameless(tzinfo):
    """A time zone of the user."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, dt: datetime | None) -> None:
        return None

    def tzname(self, dt: datetime | None) -> str:
        return "home"


def column(values: Any, dtype: Any = None, **declared: Any) -> Column:
    """The inferred column of a table with one column, c."""
    table = pd.DataFrame({"c": pd.Series(values, dtype=dtype)})
    (learned,) = infer_signature("frame", table, None, Declarations.of(**declared))
    return learned


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "nullable"),
    [
        ([1, 2], "int64", "integer", False),
        ([1, None], "Int64", "integer", True),
        ([1, None], "object", "integer", True),
        ([1.0, None], "float64", "number", True),
        ([1.0, 2.0], "float32", "number", False),
        ([1.0, 2], "object", "number", False),
        ([None, None], "float64", "number", True),
        ([True, False], "bool", "boolean", False),
        ([True, pd.NA], "boolean", "boolean", True),
        ([True, np.nan], "object", "boolean", True),
        (["a", None], "str", "category", True),
        (["a", pd.NA], "string", "category", True),
        (["a", "b"], "object", "category", False),
        ([1, 2, None], "category", "category", True),
        ([None, None], "object", "text", True),
        ([None, None], "category", "text", True),
        (["2026-01-01", None], "datetime64[s]", "datetime", True),
        ([None, None], "datetime64[ns, Europe/Berlin]", "datetime", True),
        ([date(2026, 1, 1), None], "object", "datetime", True),
        ([datetime(2026, 1, 1, tzinfo=UTC)], "object", "datetime", False),
        ([pd.Timestamp("2026-01-01"), pd.NaT], "object", "datetime", True),
    ],
)
def test_kind_and_nullability_come_from_dtype_and_values(values: Any, dtype: str, kind: str, nullable: bool) -> None:
    learned = column(values, dtype)

    assert (learned.kind, learned.nullable, learned.dtype) == (kind, nullable, dtype)


@pytest.mark.parametrize(
    ("nulls", "marker"),
    [
        ([None], "none"),
        ([pd.NaT], "nat"),
        ([np.nan], "nan"),
        ([pd.NA], "na"),
        ([None, None, np.nan], "none"),
        ([None, np.nan], "nan"),
    ],
)
def test_an_object_column_uses_its_most_frequent_null(nulls: list[Any], marker: str) -> None:
    assert column(["a", *nulls], object).null == marker


def test_a_null_in_the_last_of_many_rows_makes_the_column_nullable() -> None:
    assert column([1.0] * 50_000 + [None]).nullable


def test_a_category_in_the_last_of_many_rows_is_known() -> None:
    assert column(["a"] * 50_000 + ["z"]).categories == ("a", "z")


def test_strings_are_closed_up_to_twenty_values_and_text_beyond() -> None:
    names = [f"n{number:02}" for number in range(MAX_CATEGORIES + 1)]

    assert MAX_CATEGORIES == 20
    assert column(names[:-1]).categories == tuple(names[:-1])
    assert column(names).kind == "text"
    assert column([*names, "x" * 300]).longest == 300


def test_declarations_close_and_open_columns() -> None:
    names = [f"n{number:02}" for number in range(30)]

    assert column(names, categories=["c"]).categories == tuple(names)
    assert column(["a", "b"], text="c").kind == "text"
    assert column(["a", "b"], categories={"c": ["b", "a", "z"]}).categories == ("b", "a", "z")
    assert column([2, 1], categories="c").categories == (1, 2)
    assert column([2, 1], categories={"c": np.array([1.0, 2.0, 3.0])}).categories == (1, 2, 3)
    assert column([True, False], categories=["c"]).categories == (False, True)
    assert column(["a", None], categories={"c": pd.Series(["a", None]).unique()}).categories == ("a",)


@pytest.mark.parametrize(
    ("values", "dtype", "accepted", "expected"),
    [
        (["a", "b"], "str", "text", 'a string of at most 1000 characters (known: "a", "b")'),
        (["a", "b" * 200], "category", "text", f'a string of at most 2000 characters (known: "a", "{"b" * 200}")'),
        ([1, 2], "category", "integer", "an integer (known: 1, 2)"),
        (
            pd.Series([1, 2], dtype="int8").astype("category"),
            None,
            "integer",
            "an integer from -128 to 127 (known: 1, 2)",
        ),
        ([1.0, 2.0, None], "category", "number", "a number from -1e+15 to 1e+15 or null (known: 1.0, 2.0)"),
    ],
)
def test_a_column_of_categories_may_accept_unseen_values(values: Any, dtype: Any, accepted: str, expected: str) -> None:
    for declared in (True, "c", ["c"]):
        learned = column(values, dtype, accept_unseen=declared)

        assert (learned.kind, learned.accepted, learned.expected) == ("category", accepted, expected)
    assert not column(values, dtype).accepts_unseen


def test_a_declared_category_may_accept_unseen_values_of_its_kind() -> None:
    for largest, noted in ((1e12, None), (1.001e12, 1.001e12)):
        assert column([1.5, 2.0], categories={"c": [2, 1.5, largest]}, accept_unseen=True).largest == noted
    whole = column([1.5, 2.0], categories={"c": [2, 1.5, 1e20]}, accept_unseen=True)

    assert (whole.accepted, whole.limits[1] >= 1e20) == ("number", True)
    assert column([1, 2], categories="c", accept_unseen=True).accepted == "integer"
    assert column([1.0, 2.0], categories={"c": [1, 2]}, accept_unseen=True).accepted == "number"


def test_columns_without_categories_are_as_before_if_all_accept_unseen_values() -> None:
    for values in ([True, False], [1, 2], [0.5, 1.5], pd.Categorical([True, False])):
        assert column(values, accept_unseen=True) == column(values)


def test_a_declared_null_is_accepted() -> None:
    assert column([1, 2], nullable="c").nullable


def test_a_category_column_is_closed_to_the_levels_that_were_seen() -> None:
    levels = pd.CategoricalDtype(["never", "b", "a"], ordered=True)
    learned = column(["a", "b"], levels)

    assert learned.categories == ("b", "a")
    assert learned.levels is not None
    assert (learned.levels.values, learned.levels.ordered) == (("never", "b", "a"), True)
    assert column(["a", "b"], levels, categories={"c": ["a", "b", "never"]}).categories == ("a", "b", "never")


def test_a_column_of_large_numbers_accepts_larger_ones() -> None:
    assert column([1.0, 1e12]).limits == (-1e15, 1e15)
    assert column([1.0, -1e13]).limits == (-sys.float_info.max, sys.float_info.max)
    assert column([1.0, 1e200], bounds={"c": (0, None)}).limits == (0, sys.float_info.max)


def test_bounds_are_kept_as_plain_numbers_and_infinity_is_none() -> None:
    learned = column([1, 2], bounds={"c": (np.int64(0), np.float64(2.5))})

    assert (learned.minimum, learned.maximum) == (0, 2.5)
    assert [type(learned.minimum), type(learned.maximum)] == [int, float]
    assert column([1, 2], bounds={"c": (-np.inf, None)}).limits == column([1, 2]).limits


@pytest.mark.parametrize(
    ("values", "declared", "says"),
    [
        ([1.0, 130.0], {"bounds": {"c": (0, 120)}}, "1 training rows outside its bounds; widen"),
        ([1, -1], {"bounds": {"c": (0, None)}}, "1 training rows outside its bounds; widen"),
        ([1.0, 2.0], {"bounds": {"c": (5, 0)}}, "in the wrong order"),
        ([1.0, 2.0], {"bounds": {"c": (float("nan"), 5)}}, "give \\(low, high\\)"),
        ([1.0, 2.0], {"bounds": {"c": ("0", 5)}}, "give \\(low, high\\)"),
        ([1.0, 2.0], {"bounds": {"c": 5}}, "give \\(low, high\\)"),
        (["a", "b"], {"bounds": {"c": (0, 1)}}, "bounds are for numeric columns"),
        ([True, False], {"bounds": {"c": (0, 1)}}, "bounds are for numeric columns"),
        ([1, 2], {"bounds": {"c": (0, 3)}, "categories": ["c"]}, "both in bounds and in categories"),
        (["a"], {"text": ["c"], "categories": ["c"]}, "both in text and in categories"),
        ([1, 2], {"text": ["c"]}, "text is for string columns"),
        (["a", "b"], {"categories": {"c": ["a"]}}, "leave out 'b'"),
        ([True, False], {"categories": {"c": [True]}}, "leave out False"),
        (["a", "b"], {"categories": {"c": ["a", "b", 3]}}, "include 3, which the column cannot hold"),
        ([1, 2], {"categories": {"c": [1, 2, 2.5]}}, "include 2.5, which the column cannot hold"),
        ([1, 2], {"categories": {"c": [1, 2, "3"]}}, "include '3', which the column cannot hold"),
        ([1.0, 2.0], {"categories": {"c": [1, 2, np.inf]}}, "include inf, which the column cannot hold"),
        (["a"], {"categories": {"c": ["a", None]}}, "use nullable=\\['c'\\] instead"),
        ([None], {"categories": ["c"]}, "holds no value, so its categories are unknown"),
        (["a"], {"text": ["d"]}, "'d' is declared but is not a column; the columns are c"),
        (["a"], {"nullable": "d"}, "'d' is declared but is not a column"),
        (pd.Categorical([1, 2]), {"text": ["c"]}, "not strings"),
        (
            [1, 2],
            {"accept_unseen": ["c"]},
            "'c' takes an integer; accept_unseen is for columns with a list of categories",
        ),
        ([True, False], {"accept_unseen": ["c"]}, "'c' takes true or false; accept_unseen is for"),
        ([True, False], {"accept_unseen": ["c"], "categories": ["c"]}, "'c' takes one of false, true; accept_unseen"),
        (
            ["a"],
            {"accept_unseen": ["c"], "text": ["c"]},
            "'c' takes a string of at most 1000 characters; accept_unseen",
        ),
        (pd.Categorical([1, "a"]), {"accept_unseen": ["c"]}, "'c' have several types, so it cannot accept unseen"),
        (["a"], {"accept_unseen": ["d"]}, "'d' is declared but is not a column"),
    ],
)
def test_a_contradictory_declaration_is_refused(values: Any, declared: dict[str, Any], says: str) -> None:
    with pytest.raises(DumpError, match=says):
        column(values, **declared)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1.0, np.inf], "infinity, which JSON cannot carry"),
        (pd.Series([1.0, -np.inf], dtype=object), "infinity, which JSON cannot carry"),
        ([1, "a"], "type int, str; make them all"),
        ([True, 2], "type bool, int"),
        ([b"a"], "type bytes"),
        ([Decimal(1)], "type Decimal"),
        ([["a"]], "type list"),
        ([1j], "dtype complex128, which JSON cannot carry"),
        (pd.to_timedelta(["1 day"]), "timedeltas; convert it with .dt.total_seconds"),
        (pd.period_range("2026", periods=2, freq="M"), "periods; convert it with .dt.to_timestamp"),
        (pd.interval_range(0, 2), "intervals; make it strings or two columns"),
        ([date(2026, 1, 1), datetime(2026, 1, 1)], "type date, datetime; make them all dates or all datetimes"),
        ([date(2026, 1, 1), "2026-01-01"], "type date, str; make them all"),
        ([time(12)], "type time"),
        (
            [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],
            "several time zones; convert it with pd.to_datetime",
        ),
        ([datetime(2026, 1, 1, tzinfo=Nameless())], "has no name; convert it"),
        (np.array([2**40], dtype="datetime64[s]"), "a datetime that JSON cannot carry"),
        (pd.Categorical(pd.to_datetime(["2026-01-01"])), "Timestamp.*make it a string"),
        (pd.cut([1, 2], 2), "Interval.*make it a string"),
        (pd.arrays.SparseArray([1.0, 0.0]), "sparse; make it dense"),
        (np.array([2**64 - 1], dtype="uint64"), "beyond 64 bits"),
        ([10**30], "beyond 64 bits"),
        (pd.Series(["\ud800"], dtype=object), "half of a surrogate pair"),
    ],
)
def test_a_column_that_json_cannot_carry_is_refused(values: Any, says: str) -> None:
    with pytest.raises(DumpError, match=says):
        column(values)


@pytest.mark.parametrize(
    ("values", "bounds", "limits"),
    [
        ("datetime64[us]", ("2026-01-01", None), ("2026-01-01T00:00:00", None)),
        ("datetime64[us]", (date(2026, 1, 1), datetime(2027, 1, 1)), ("2026-01-01T00:00:00", "2027-01-01T00:00:00")),
        ("datetime64[ns]", (np.datetime64("2026-01-01"), pd.NaT), ("2026-01-01T00:00:00", None)),
        ("datetime64[ns, UTC]", ("2026-01-01T01:00:00+01:00", None), ("2026-01-01T00:00:00Z", None)),
        ("datetime64[ns, UTC]", (datetime(2026, 1, 1, tzinfo=UTC), None), ("2026-01-01T00:00:00Z", None)),
        ("date", (None, date(2027, 1, 1)), (None, "2027-01-01")),
        ("date", ("2026-01-01", "2027-01-01"), ("2026-01-01", "2027-01-01")),
    ],
)
def test_bounds_of_datetimes_are_datetimes_or_their_strings(values: str, bounds: Any, limits: Any) -> None:
    seen = [date(2026, 5, 1)] if values == "date" else ["2026-05-01"]
    dtype = object if values == "date" else values

    learned, bounded = column(seen, dtype).datetimes, column(seen, dtype, bounds={"c": bounds}).datetimes

    assert learned is not None
    assert bounded is not None
    assert (learned.earliest, learned.latest) == (None, None)
    assert (bounded.earliest, bounded.latest) == limits


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        (("2026-01-01T00:00:00Z", None), r"give \(low, high\), each an RFC 3339 datetime without an offset"),
        ((1, 2), r"give \(low, high\)"),
        (("soon", None), r"give \(low, high\)"),
        (None, r"give \(low, high\)"),
        (("2027-01-01", "2026-01-01"), "wrong order"),
        (("2026-06-01", None), "1 training rows outside its bounds"),
        ((None, datetime(2026, 4, 1)), "1 training rows outside its bounds"),
    ],
)
def test_wrong_bounds_of_datetimes_are_refused(bounds: Any, says: str) -> None:
    with pytest.raises(DumpError, match=says):
        column(pd.to_datetime(["2026-05-01"]), bounds={"c": bounds})


@pytest.mark.parametrize("declared", [{"text": ["c"]}, {"categories": ["c"]}])
def test_a_datetime_column_takes_no_text_and_no_categories(declared: Any) -> None:
    with pytest.raises(DumpError, match="holds datetimes; text and categories are for other columns"):
        column(pd.to_datetime(["2026-05-01"]), **declared)
