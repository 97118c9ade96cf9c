"""Rows made up from column names and dtypes, for a model without data: just enough to find out what the pipeline can
answer."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from pandas.api import types

from serialize.errors import DumpError
from serialize.original.dtypes import Dtypes, converted, holds_null, is_object
from serialize.original.files import DTYPES

Answered = Callable[[pd.DataFrame], str | None]

_SOURCE = "the made-up rows"


def made_up_rows(dtypes: Dtypes, why_not: Answered) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of rows with the dtypes, and the declarations of `dump` for it: a column may be null, and have an unseen
    category, where its dtype can hold it and the pipeline can answer it. `why_not` gives the reason why the pipeline
    cannot answer a frame, or None. Raises DumpError if it cannot answer an ordinary row."""
    row = {name: _ordinary(name, dtype) for name, dtype in dtypes.items()}

    def table(*rows: dict[str, Any]) -> pd.DataFrame:
        return converted(pd.DataFrame(rows, columns=list(dtypes), dtype=object), dtypes, _SOURCE)

    if reason := why_not(table(row)):
        raise DumpError(
            f"The pipeline cannot answer a row that was made up from {DTYPES} ({reason}); give rows of yours with "
            "--data."
        )
    nulls = {name: {**row, name: None} for name, dtype in dtypes.items() if holds_null(dtype)}
    nullable = [name for name, changed in nulls.items() if why_not(table(changed)) is None]
    levels = {name: dtype.categories.tolist() for name, dtype in dtypes.items() if _is_categorical(dtype)}
    texts = [name for name, dtype in dtypes.items() if name not in levels and _takes_text(dtype)]
    return table(row, *(nulls[name] for name in nullable)), {
        "text": texts,
        "categories": levels,
        "nullable": nullable,
        "accept_unseen": [name for name in nullable if _is_open(levels.get(name, []))],
    }


def _ordinary(name: str, dtype: Any) -> Any:
    """A value that a column of this dtype holds."""
    if _is_categorical(dtype):
        if dtype.categories is None or not len(dtype.categories):
            raise DumpError(f"{DTYPES} has no categories for the column {name!r}; give rows of yours with --data.")
        return dtype.categories[0]
    if isinstance(dtype, pd.SparseDtype):
        raise _unservable(name, dtype)
    if types.is_bool_dtype(dtype):
        return False
    if types.is_numeric_dtype(dtype):
        return 1
    if types.is_datetime64_any_dtype(dtype):
        return pd.Timestamp("2000-01-01", tz=getattr(dtype, "tz", None))
    if _takes_text(dtype):
        return "text"
    raise _unservable(name, dtype)


def _unservable(name: str, dtype: Any) -> DumpError:
    return DumpError(
        f"{DTYPES} has the dtype {dtype} for the column {name!r}, which an artifact cannot hold; fit the pipeline "
        "again on numbers, strings or datetimes."
    )


def _is_open(levels: list[Any]) -> bool:
    """Whether a column can accept other values than its levels: they become nulls, and true and false have no other."""
    return any(not isinstance(level, bool) for level in levels)


def _is_categorical(dtype: Any) -> bool:
    return isinstance(dtype, pd.CategoricalDtype)


def _takes_text(dtype: Any) -> bool:
    return is_object(dtype) or types.is_string_dtype(dtype)
