"""The observations of a batch of rows, and their canonical JSON as the log has it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from serialize.compiler.runtime.columns import DistinctColumn, NumberColumn
from serialize.signature import Scalar
from service.prediction.arrays.number_text import log_texts
from service.prediction.arrays.template import filled
from service.prediction.observation import canonical

Places = np.ndarray[Any, np.dtype[np.intp]]

_LINE_FEED = "\n"  # JSON escapes it in each string


class ObservedRows(NamedTuple):
    """The observations of n rows. `columns` are the columns of the signature in its order, with n values each. `alone`
    has the values of the rows that were parsed one by one, by place; what the columns have there means nothing."""

    columns: Mapping[str, NumberColumn | DistinctColumn]
    alone: Mapping[int, Mapping[str, Scalar]]


class ObservationTexts:
    """The observations of a batch as texts."""

    def __init__(self, observed: ObservedRows) -> None:
        self._alone = observed.alone
        self._before = [f"{',' if i else '{'}{canonical(name)}:" for i, name in enumerate(observed.columns)]
        self._texts_of = list(map(_texts_of, observed.columns.values()))

    def at(self, places: Places) -> list[str]:
        """The canonical JSON of the observations at m places, which are right."""
        if not self._alone:
            return self._by_column(places)
        is_alone = [place in self._alone for place in places.tolist()]
        by_column = iter(self._by_column(places[~np.array(is_alone, dtype=bool)]))
        return [
            canonical(self._alone[place]) if alone else next(by_column)
            for place, alone in zip(places.tolist(), is_alone, strict=True)
        ]

    def _by_column(self, places: Places) -> list[str]:
        if not self._before or not len(places):
            return ["{}"] * len(places)
        return filled(self._before, [texts(places) for texts in self._texts_of], "}", _LINE_FEED).split(_LINE_FEED)


def _texts_of(column: NumberColumn | DistinctColumn) -> Callable[[Places], list[str]]:
    """The values of a column as canonical JSON, by their places."""
    if isinstance(column, NumberColumn):
        array, are_integers = column.array, column.are_integers
        return lambda places: log_texts(list[Any](NumberColumn(array[places], are_integers=are_integers)))
    texts, codes = list(map(canonical, column.values)), column.codes
    return lambda places: list(map(texts.__getitem__, codes[places].tolist()))
