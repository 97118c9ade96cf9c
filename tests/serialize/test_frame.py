"""Training data becomes JSON observations, and observations become the same input that the pipeline was fitted on."""

from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from pandas.testing import assert_frame_equal, assert_series_equal

from serialize import DumpError
from serialize.frame import as_table, build_input, build_input_by_column, observations
from tests.support.by_column import by_column
from tests.support.frames import frames, learned


@settings(deadline=None, max_examples=60)
@given(frames())
def test_every_frame_comes_back_from_json_with_its_dtypes_values_and_nulls(frame: pd.DataFrame) -> None:
    signature, rows = learned(frame)

    again = build_input(signature, rows)

    assert_frame_equal(again, frame, check_exact=True)
    for name in [name for name in frame if frame[name].dtype == "object"]:
        assert list(map(type, again[name])) == list(map(type, frame[name]))


@settings(deadline=None, max_examples=50)
@given(frames())
def test_a_row_alone_is_built_like_a_row_among_others(frame: pd.DataFrame) -> None:
    signature, rows = learned(frame)

    apart = pd.concat([build_input(signature, [row]) for row in rows], ignore_index=True)

    assert_frame_equal(apart.astype(frame.dtypes), frame, check_exact=True)


@pytest.mark.parametrize("sequence", [list, tuple])
@settings(max_examples=50)
@given(frame=frames())
def test_columns_become_the_same_frame_as_rows(sequence: Any, frame: pd.DataFrame) -> None:
    signature, rows = learned(frame)

    again = build_input_by_column(signature, {name: sequence(values) for name, values in by_column(rows).items()})

    assert_frame_equal(again, build_input(signature, rows), check_exact=True)


def test_an_object_column_of_strings_stays_an_object_column() -> None:
    frame = pd.DataFrame({"a": pd.Series(["x", None], dtype=object)})
    signature, rows = learned(frame)

    assert build_input(signature, rows)["a"].tolist() == ["x", None]
    assert build_input(signature, rows[:1])["a"].dtype == object


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["b", None, "a"], ["c", "b", "a"], ordered=True),
        pd.Categorical([3, 1, None]),
        pd.Categorical([1.5, 2.0, 1.5]),
        pd.Categorical([True, None, False]),
    ],
)
def test_categories_keep_their_levels_their_order_and_their_dtype(values: pd.Categorical) -> None:
    frame = pd.DataFrame({"c": values})
    signature, rows = learned(frame)

    assert_frame_equal(build_input(signature, rows), frame)
    assert_frame_equal(build_input(signature, rows[:1]), frame[:1])


@pytest.mark.parametrize("dtype", ["str", "string", "object", "category"])
def test_a_series_comes_back_a_series_with_its_name_and_dtype(dtype: Any) -> None:
    series = pd.Series(["a", "b c"], index=[7, 3], dtype=dtype, name="words")
    signature, rows = learned(series)

    assert signature.container == "series"
    assert_series_equal(build_input(signature, rows), series.reset_index(drop=True))


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, np.nan], [2.0, 3.0]]),
        np.array([[1.5, np.nan], [2.0, 3.0]], dtype="float32"),
        np.array([[1, 2], [3, 2**60]]),
        np.array([[True, False], [False, False]]),
        np.array([["a", "bcd"], ["c", "d"]]),
        np.array([["a", 1.5], [None, 2.5]], dtype=object),
        np.array([["2024-05-31", "NaT"], ["2024-05-31T12", "1970-01-01"]], dtype="datetime64[ms]"),
        np.array([["a", pd.Timestamp("2024-05-31")], ["b", pd.Timestamp(0)]], dtype=object),
    ],
)
def test_an_array_comes_back_with_its_shape_dtype_and_nulls(array: "np.ndarray[Any, Any]") -> None:
    signature, rows = learned(array)

    again = build_input(signature, rows)

    assert (signature.container, signature.names) == ("array", ("x0", "x1"))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("dtype", ["datetime64[s]", "datetime64[ns, Europe/Berlin]"])
def test_a_series_or_a_vector_of_datetimes_comes_back(dtype: Any) -> None:
    series = pd.Series(["2024-05-31T12:00:00", None], dtype=dtype, name="when")
    signature, rows = learned(series)

    assert_series_equal(build_input(signature, rows), series)
    if dtype == "datetime64[s]":
        signature, rows = learned(series.to_numpy())
        np.testing.assert_array_equal(build_input(signature, rows), series.to_numpy())


def test_a_big_endian_array_keeps_its_numbers() -> None:
    signature, rows = learned(np.array([[1.5, 2.5]], dtype=">f8"))

    assert build_input(signature, rows).tolist() == [[1.5, 2.5]]


def test_a_list_of_strings_is_a_vector_of_one_column() -> None:
    signature, rows = learned(["a b", "c"], ["words"])

    assert (signature.container, rows[1]) == ("vector", {"words": "c"})
    assert build_input(signature, rows).tolist() == ["a b", "c"]


def test_a_list_of_mixed_rows_keeps_its_numbers_numbers() -> None:
    signature, rows = learned([["a", 1], ["b", 2]])

    assert rows == [{"x0": "a", "x1": 1}, {"x0": "b", "x1": 2}]
    assert build_input(signature, rows).tolist() == [["a", 1], ["b", 2]]


def test_a_null_without_a_null_in_training_is_nan_and_never_the_string_none() -> None:
    frame = pd.DataFrame({"i": [1, 2], "b": [True, False], "f": [1.0, 2.0]})
    signature, _ = learned(frame)

    built = build_input(signature, [dict.fromkeys("ibf"), {"i": 1, "b": True, "f": 1}])

    assert built.isna().to_numpy().tolist() == [[True] * 3, [False] * 3]
    words, _ = learned(np.array([["a"]]))
    assert np.isnan(build_input(words, [{"x0": None}])[0, 0])


class Port(str, Enum):  # noqa: UP042 - its str() is not its value
    """Where a passenger boarded, as a string that is also a member."""

    SOUTHAMPTON = "S"


def test_observations_are_plain_json_values() -> None:
    frame = pd.DataFrame(
        {
            "a": pd.Series([np.int8(1)], dtype=object),
            "b": pd.Series([np.str_("x")], dtype=object),
            "c": pd.Series([Port.SOUTHAMPTON], dtype=object),
            "d": pd.Series([np.float32(0.5)], dtype=object),
            "e": pd.Series([pd.NaT], dtype=object),
        }
    )

    (row,) = observations(frame)

    assert row == {"a": 1, "b": "x", "c": "S", "d": 0.5, "e": None}
    assert [type(value) for value in row.values()] == [int, str, str, float, type(None)]


def test_the_index_of_a_frame_does_not_matter() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.MultiIndex.from_tuples([("x", 1), ("x", 1)]))

    assert observations(as_table(frame)[1]) == [{"a": 1.0}, {"a": 2.0}]


@pytest.mark.parametrize(
    ("X", "columns", "says"),
    [
        (pd.DataFrame(), None, "empty"),
        (pd.DataFrame({"a": []}), None, "empty"),
        (pd.DataFrame([[1, 2]]), None, "Column name 0 is not a string"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, "Two columns are called 'a'"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), None, "not a string"),
        (pd.DataFrame({"a": [1]}), ["b"], "leave out columns="),
        (np.zeros((2, 2)), ["a"], "columns names 1 columns, but X_train has 2"),
        (np.zeros((2, 2, 2)), None, "3 dimensions"),
        ([[1, 2], [3]], None, "give every row the same columns"),
        ("words", None, "0 dimensions"),
        (np.array(["2024-05-31"], dtype="datetime64[D]"), None, r"convert it with astype\('datetime64\[s\]'\)"),
        (pytest.importorskip("scipy.sparse").csr_matrix([[1]]), None, "sparse"),
    ],
)
def test_what_no_observation_could_be_is_refused(X: Any, columns: list[str] | None, says: str) -> None:
    with pytest.raises(DumpError, match=says):
        as_table(X, columns)
