"""Columns of many values in numpy arrays. Each is a sequence of JSON scalars too, so that code for single values takes
it as it takes a list."""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any

import numpy as np

from serialize.signature import Scalar

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class NumberColumn(Sequence[Scalar]):
    """n numbers as an array of float64 of shape (n,), NaN for null. As scalars they are floats, or integers if
    `are_integers` is set; all integers are below 2**53."""

    def __init__(self, array: "np.ndarray[Any, np.dtype[np.float64]]", *, are_integers: bool = False) -> None:
        self.array = array
        self.are_integers = are_integers

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return NumberColumn(self.array[index], are_integers=self.are_integers)
        return self._scalars(self.array[index : index + 1])[0]

    def __iter__(self) -> Iterator[Scalar]:
        return iter(self._scalars(self.array))

    def where(self, mask: Mask) -> "NumberColumn":
        """The values for which a mask of shape (n,) is true."""
        return NumberColumn(self.array[mask], are_integers=self.are_integers)

    def distinct(self) -> "DistinctColumn":
        """The same values, with each of them once."""
        values, codes = np.unique(self.array, return_inverse=True)
        return DistinctColumn(self._scalars(values), codes)

    def _scalars(self, array: "np.ndarray[Any, Any]") -> list[Scalar]:
        missing = np.isnan(array)
        if not missing.any():
            plain: list[Scalar] = array.astype(np.int64).tolist() if self.are_integers else array.tolist()
            return plain
        values = [None if gone else value for value, gone in zip(array.tolist(), missing.tolist(), strict=True)]
        return [None if value is None else int(value) for value in values] if self.are_integers else values


class DistinctColumn(Sequence[Scalar]):
    """n values: the different ones, and for each of the n its place among them, of shape (n,). Each of the different
    ones occurs, but maybe not in a slice."""

    def __init__(self, values: Sequence[Scalar], codes: "np.ndarray[Any, np.dtype[np.intp]]") -> None:
        self.values = values
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return DistinctColumn(self.values, self.codes[index])
        return self.values[self.codes[index]]

    def __iter__(self) -> Iterator[Scalar]:
        return map(self.values.__getitem__, self.codes.tolist())

    def where(self, mask: Mask) -> "DistinctColumn":
        """The values for which a mask of shape (n,) is true."""
        codes = self.codes[mask]
        used = np.bincount(codes, minlength=len(self.values)) > 0
        return DistinctColumn(list(compress(self.values, used.tolist())), (np.cumsum(used) - 1)[codes])
