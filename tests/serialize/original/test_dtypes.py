"""The dtypes of the original app are taken as they are, and a value that one cannot hold is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from serialize import DumpError
from serialize.original.dtypes import converted, dtypes_of, holds_null, holds_text


def test_the_dtypes_come_in_the_order_of_the_columns_from_a_series_or_a_dict() -> None:
    series = pd.Series({"a": np.dtype("int64"), "b": np.dtype("O")})
    named: dict[str, Any] = {"b": object, "a": "int64"}

    for loaded in (series, named):
        assert list(dtypes_of(loaded, ["b", "a"]).items()) == [("b", np.dtype("O")), ("a", np.dtype("int64"))]


@pytest.mark.parametrize(
    ("loaded", "refusal"),
    [
        ([1, 2], r"^dtypes\.pickle holds a list; it must be a Series or dict"),
        ({"a": "int64"}, r"^dtypes\.pickle has no dtype for the column 'b' of columns\.json\.$"),
        ({"a": "int64", "b": "O", "c": "O"}, "has a dtype for 'c', which is not a column"),
        ({"a": "int64", "b": "decimal"}, "has 'decimal' for the column 'b', which is not a dtype of pandas"),
        ({"a": "int64", "b": None, 3: "O"}, "has a dtype for 3, which is not a column"),
    ],
)
def test_dtypes_that_do_not_fit_the_columns_are_refused(loaded: Any, refusal: str) -> None:
    with pytest.raises(DumpError, match=refusal):
        dtypes_of(loaded, ["a", "b"])


def test_which_dtypes_hold_nulls_and_which_hold_only_text() -> None:
    dtypes = {"int64": False, "bool": False, "uint8": False, "float64": True, "Int64": True, "O": True, "M8[ns]": True}
    texts = {"string": True, "str": True, "O": False, "int64": False}

    assert {name: holds_null(pd.api.types.pandas_dtype(name)) for name in dtypes} == dtypes
    assert {name: holds_text(pd.api.types.pandas_dtype(name)) for name in texts} == texts
    assert holds_text(pd.CategoricalDtype(["a"]))
    assert not holds_text(pd.CategoricalDtype([1]))


def test_a_null_of_an_object_column_becomes_none() -> None:
    table = converted(pd.DataFrame({"a": ["x", np.nan]}), {"a": np.dtype("O")}, "rows.csv")

    assert table["a"].tolist() == ["x", None]
    assert table["a"].dtype == object


@pytest.mark.parametrize(
    ("values", "dtype", "refusal"),
    [
        ([1.0, None], np.dtype("int64"), r"^Column 'a' of rows\.csv has 1 nulls, which its dtype int64 cannot hold"),
        ([True, None], np.dtype("bool"), "has 1 nulls, which its dtype bool cannot hold"),
        ([1.0, 3.7], np.dtype("int64"), r"holds 3\.7, which its dtype int64 cannot hold; correct the column\.$"),
        ([1, 300], np.dtype("int8"), "holds 300, which its dtype int8 cannot hold"),
        (["true", "false"], np.dtype("bool"), "holds 'true', which its dtype bool cannot hold"),
        ([1.0, np.inf], np.dtype("int64"), "cannot be converted to int64"),
        (["1", "x"], np.dtype("float64"), r"cannot be converted to float64, its dtype in dtypes\.pickle \(ValueError"),
        (["x", "y"], np.dtype("M8[ns]"), r"cannot be converted to datetime64\[ns\]"),
        (["a", ["b"]], pd.CategoricalDtype(["a"]), r"holds \['b'\], which is none of its categories"),
        (["a", "z"], pd.CategoricalDtype(["a"]), r"holds 'z', which is none of its categories in dtypes\.pickle"),
    ],
)
def test_a_value_that_its_dtype_cannot_hold_is_refused(values: list[Any], dtype: Any, refusal: str) -> None:
    with pytest.raises(DumpError, match=refusal):
        converted(pd.DataFrame({"a": values}), {"a": dtype}, "rows.csv")


def test_values_that_change_only_their_type_are_converted() -> None:
    table = converted(pd.DataFrame({"a": [1.0, 0.0]}), {"a": np.dtype("bool")}, "rows.csv")

    assert table["a"].tolist() == [True, False]
