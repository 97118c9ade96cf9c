"""Tells whether two observations are equal in every column, wherever they come from: the log or the training data."""

from collections.abc import Callable, Hashable

import numpy as np

from serialize.frame import Row
from serialize.signature import Column, Scalar, Signature

RowKey = tuple[Hashable, ...]


def row_key_of(signature: Signature) -> Callable[[Row], RowKey]:
    """A function that gives rows with the same values the same key. A number is compared in the precision that the
    pipeline gets it in, and a datetime as a moment, however it is written."""
    columns = [(column.name, _comparable(column)) for column in signature]
    return lambda row: tuple(comparable(row[name]) for name, comparable in columns)


def _comparable(column: Column) -> Callable[[Scalar], Hashable]:
    datetimes = column.datetimes
    if datetimes is not None:
        return lambda value: None if value is None else datetimes.nanoseconds(str(value))
    if column.dtype in ("float32", "float16"):
        as_float = np.dtype(column.dtype).type
        return lambda value: None if value is None else float(as_float(value))
    return lambda value: value
