"""The values of columns as arrays: codes of values, and blocks of numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serialize.compiler.runtime.columns import DistinctColumn, NumberColumn
from serialize.signature import Scalar

_FEW_ROWS = 1000


class Codes(dict[Scalar, int]):
    """The code of each value that the model distinguishes; any other value has the code `unseen`. Raises ValueError for
    a value in `refused`, and for an unseen value if `unseen` is None."""

    def __init__(self, known: Mapping[Scalar, int], refused: Sequence[Scalar], unseen: int | None) -> None:
        super().__init__(known)
        self.refused = refused
        self.unseen = unseen

    def __missing__(self, value: Scalar) -> int:
        if self.unseen is None or value in self.refused:
            raise ValueError(f"The model cannot score the value {value!r}.")
        return self.unseen


def coded(code: Callable[[Scalar], int], column: Sequence[Scalar]) -> Any:
    """The codes of the n values of a column."""
    if isinstance(column, NumberColumn):
        column = column.distinct()
    if isinstance(column, DistinctColumn):
        return np.array(list(map(code, column.values)), dtype=np.int64)[column.codes]
    return list(map(code, column))


def matrix(columns: Sequence[Any], dtype: type) -> np.ndarray[Any, Any]:
    """Columns of n values as an array of shape (columns, n). Long ones are converted one by one, because no other
    thread runs during one call of numpy."""
    if len(columns[0]) > _FEW_ROWS or isinstance(columns[0], NumberColumn | DistinctColumn):
        columns = [_array(column, dtype) for column in columns]
    return np.array(columns, dtype=dtype)


def _array(column: Any, dtype: type) -> Any:
    match column:
        case NumberColumn():
            return column.array
        case DistinctColumn():
            return np.array(column.values, dtype=dtype)[column.codes]
        case _:
            return np.array(column, dtype=dtype)
