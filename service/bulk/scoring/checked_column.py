"""Checks a whole column of a table at once.

It says of each value whether it is surely right. The parser of single observations decides about the others, so there
is one place that describes faults."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from serialize.compiler.runtime.columns import DistinctColumn, Mask, NumberColumn
from serialize.signature import Column, Scalar
from service.bulk.cells import NULL_TEXTS, of_arrow, of_cell
from service.prediction.observation import value_parser

_NUMBER = r"^[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*$"
_EXACT = 2.0**53  # a float is an exact integer below


class CheckedColumn(NamedTuple):
    """The n values of a column, and which of them are surely right, of shape (n,). The others have any value."""

    values: NumberColumn | DistinctColumn
    is_sure: Mask


class ColumnChecker:
    """Checks the values of one column of the signature."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._is_number = column.accepted in ("integer", "number")
        self._parse = value_parser(column)

    def check(self, values: pa.Array, *, is_csv: bool) -> CheckedColumn:
        """The n values of an Arrow array; the cells of a CSV file are strings there."""
        if self._is_number and pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if self._is_number and (numbers := _numbers(values, is_csv=is_csv)) is not None:
            return self._check_numbers(*numbers)
        return self._check_distinct(values, is_csv=is_csv)

    def missing(self, rows: int) -> CheckedColumn:
        """A column that the table does not have."""
        column = DistinctColumn([None], np.zeros(rows, dtype=np.intp))
        return CheckedColumn(column, np.full(rows, self._column.nullable))

    def _check_numbers(self, array: "np.ndarray[Any, np.dtype[np.float64]]", is_odd: Mask | None) -> CheckedColumn:
        low, high = self._column.limits
        is_sure = (array >= low) & (array <= high)
        are_integers = self._column.accepted == "integer"
        if are_integers:
            is_sure &= (np.floor(array) == array) & (np.abs(array) < _EXACT)
        if self._column.nullable:
            is_sure |= np.isnan(array)
        if is_odd is not None:
            is_sure &= ~is_odd
        return CheckedColumn(NumberColumn(array, are_integers=are_integers), is_sure)

    def _check_distinct(self, values: pa.Array, *, is_csv: bool) -> CheckedColumn:
        try:
            encoded = _used(values) if pa.types.is_dictionary(values.type) else values.dictionary_encode()
            dictionary, codes = encoded.dictionary.to_pylist(), encoded.indices
        except pa.ArrowNotImplementedError:  # such as lists
            dictionary, codes = values.to_pylist(), pa.array(np.arange(len(values)))
        if codes.null_count:
            codes = pc.fill_null(codes, len(dictionary))
            dictionary.append(None)
        found = [of_cell(self._column, value) if is_csv else of_arrow(value, self._column) for value in dictionary]
        parsed, is_right = zip(*map(self._parsed, found), strict=True)
        places = codes.to_numpy(zero_copy_only=False).astype(np.intp)
        return CheckedColumn(DistinctColumn(parsed, places), np.array(is_right, dtype=bool)[places])

    def _parsed(self, value: Any) -> tuple[Scalar, bool]:
        try:
            return self._parse(value), True
        except (ValidationError, UnicodeError):
            return None, False


def _used(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values with a dictionary of those that occur: a row group has one dictionary for all of its batches."""
    codes = pc.fill_null(values.indices, -1).to_numpy(zero_copy_only=False).astype(np.intp)
    is_used = np.bincount(codes + 1, minlength=len(values.dictionary) + 1)[1:] > 0
    places = np.where(codes < 0, -1, (np.cumsum(is_used) - 1)[codes])
    taken = values.dictionary.take(pa.array(np.flatnonzero(is_used)))
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=codes < 0), taken)


def _numbers(values: pa.Array, *, is_csv: bool) -> "tuple[np.ndarray[Any, np.dtype[np.float64]], Mask | None] | None":
    """Numbers as floats, NaN for null, and which of them are not surely the number of the cell. None if the values are
    of another kind."""
    kind = values.type
    if is_csv:
        is_number = pc.match_substring_regex(values, _NUMBER)
        odd = pc.invert(pc.or_(is_number, pc.is_in(values, pa.array(NULL_TEXTS)))).to_numpy(zero_copy_only=False)
        values = pc.if_else(is_number, values, pa.scalar(None, kind))
        values = pc.utf8_trim_whitespace(values)
        return _floats(values), odd
    if pa.types.is_decimal(kind):
        return _floats(pc.cast(values, pa.string())), None  # the nearest float, as for a number in JSON
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        return _floats(values), None
    return None


def _floats(values: pa.Array) -> "np.ndarray[Any, np.dtype[np.float64]]":
    floats = pc.cast(values, pa.float64(), safe=False)
    array: np.ndarray[Any, np.dtype[np.float64]] = floats.to_numpy(zero_copy_only=False)
    return array
