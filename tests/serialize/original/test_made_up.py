"""The made-up rows have every dtype, and declare only what the pipeline has answered."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serialize import DumpError
from serialize.declarations import Declarations
from serialize.infer_signature import infer_signature
from serialize.original.made_up import made_up_rows

DTYPES: dict[str, Any] = {
    "whole": np.dtype("int64"),
    "flag": np.dtype("bool"),
    "number": np.dtype("float64"),
    "object": np.dtype("O"),
    "string": pd.StringDtype(),
    "level": pd.CategoricalDtype(["x", "y"]),
    "choice": pd.CategoricalDtype([False, True]),
    "moment": pd.DatetimeTZDtype("ns", "Europe/Berlin"),
}


def refuses(*names: str) -> Any:
    """What a pipeline answers that cannot answer a null in these columns."""
    return lambda frame: "ValueError: null" if frame[list(names)].isna().any(axis=None) else None


def test_a_row_with_every_dtype_is_followed_by_one_for_each_null_that_is_answered() -> None:
    table, declared = made_up_rows(DTYPES, refuses("number", "level"))

    assert dict(table.dtypes) == DTYPES
    assert not table.iloc[0].isna().any()
    assert declared["nullable"] == ["object", "string", "choice", "moment"]
    assert [table.columns[table.iloc[row].isna()].tolist() for row in range(1, len(table))] == [
        [name] for name in declared["nullable"]
    ]


def test_texts_are_open_and_categories_are_those_of_the_dtype() -> None:
    declared = made_up_rows(DTYPES, refuses())[1]

    assert declared["text"] == ["object", "string"]
    assert declared["categories"] == {"level": ["x", "y"], "choice": [False, True]}
    assert declared["accept_unseen"] == ["level"]


def test_an_unseen_category_is_accepted_only_if_a_null_is() -> None:
    assert made_up_rows(DTYPES, refuses("level"))[1]["accept_unseen"] == []


def test_a_pipeline_that_cannot_answer_an_ordinary_row_needs_data() -> None:
    with pytest.raises(DumpError, match=r"made up from dtypes\.pickle \(ValueError: text\); give rows of yours with"):
        made_up_rows(DTYPES, lambda frame: "ValueError: text")


@pytest.mark.parametrize("dtype", [pd.CategoricalDtype(), pd.CategoricalDtype([])])
def test_a_category_without_categories_needs_data(dtype: Any) -> None:
    with pytest.raises(DumpError, match=r"^dtypes\.pickle has no categories for the column 'a'; give rows"):
        made_up_rows({"a": dtype}, refuses())


@pytest.mark.parametrize("name", ["timedelta64[ns]", "period[D]", "interval[int64, right]", "Sparse[int64, 0]"])
def test_a_dtype_that_an_artifact_cannot_hold_is_refused(name: str) -> None:
    dtype = pd.api.types.pandas_dtype(name)

    with pytest.raises(DumpError, match=rf"has the dtype {re.escape(name)} for the column 'a', which an artifact"):
        made_up_rows({"a": dtype}, refuses())
    with pytest.raises(DumpError):  # rows of the user do not help
        infer_signature("frame", pd.DataFrame({"a": pd.Series(dtype=dtype)}), None, Declarations())
