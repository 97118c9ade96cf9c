"""What the recipes for text check of the rows of a user's file."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from serialize.errors import DumpError


def require_columns(rows: pd.DataFrame, names: Sequence[str]) -> None:
    """Raises DumpError unless the rows have these columns."""
    for name in names:
        if name not in rows.columns:
            raise DumpError(f"The rows have no column {name!r}; their columns are {', '.join(map(str, rows.columns))}.")


def is_blank(column: "pd.Series[Any]") -> "pd.Series[bool]":
    """Whether each of n values is null or a text without a visible character, of shape (n,)."""
    return column.isna() | column.astype(str).str.strip().eq("")
