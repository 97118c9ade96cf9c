"""Groups of rows by a column of the observation: by its values, or by the bins of the reference profile if the column
is a number or datetime with many values."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from serialize.formats.datetimes import seconds, short
from serialize.manifest import Manifest
from service.errors import Fault, InvalidQuery
from service.monitoring.intervals import Array

MOST_GROUPS = 50

_FEW_VALUES = 20
_OTHER = "(other values)"


class Groups:
    """Groups rows by the columns of a manifest."""

    def __init__(self, manifest: Manifest) -> None:
        self._kinds = {column.name: column.kind for column in manifest.signature}
        self._profile = manifest.profile["columns"]

    def require(self, column: str | None) -> None:
        """Raises InvalidQuery unless it is None or a column of the manifest."""
        if column is not None and column not in self._kinds:
            raise InvalidQuery([Fault.of_parameter("by", column, "one of " + ", ".join(self._kinds))])

    def of(self, column: str, values: Sequence[str | None], codes: Array) -> Iterator[tuple[Any, Array]]:
        """Yields (value or [from, to] or None for null, mask of the rows) by group, the largest first. `codes` are
        places in `values`, the JSON texts. Small groups are merged, so that there are at most MOST_GROUPS."""
        decoded = [None if value is None else json.loads(value) for value in values]
        edges = self._profile.get(column, {}).get("bins", {}).get("edges", [])
        counts = np.bincount(codes, minlength=len(values))
        kind = self._kinds[column]
        numeric = kind in ("integer", "number", "datetime")
        if numeric and (counts > 0).sum() > _FEW_VALUES and len(edges) > 1:
            numbers = map(seconds, decoded) if kind == "datetime" else decoded
            names, codes = _binned(list(numbers), codes, edges)
            if kind == "datetime":
                names = [each and [None if end is None else short(end) for end in each] for each in names]
        else:
            names, codes = _merged(decoded, codes)
        counts = np.bincount(codes, minlength=len(names))
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda place: -counts[place])
        kept = order if len(order) <= MOST_GROUPS else order[: MOST_GROUPS - 1]
        for place in kept:
            yield names[place], codes == place
        if len(kept) < len(order):
            yield _OTHER, ~np.isin(codes, kept)


def _binned(values: list[Any], codes: Array, edges: Sequence[float]) -> tuple[list[Any], Array]:
    """The bins as [from, to], the outer ones open, and the bin of each row. Anything but a number is null."""
    numbers = np.array([value if _is_number(value) else np.nan for value in values], dtype=float)
    bins = np.searchsorted(edges[1:-1], numbers, side="right")
    bins[np.isnan(numbers)] = len(edges) - 1
    bounds = [None, *edges[1:-1], None]
    names: list[Any] = [list(ends) for ends in pairwise(bounds)]
    return [*names, None], bins[codes]


def _merged(values: list[Any], codes: Array) -> tuple[list[Any], Array]:
    """The distinct values and the place of each row's value in them. 1 and 1.0 are the same value."""
    keys = [(isinstance(each, str), str(float(each)) if _is_number(each) else json.dumps(each)) for each in values]
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    places = np.array([place[key] for key in keys], dtype=np.int64)
    names = [values[first] for first in np.unique(places, return_index=True)[1].tolist()]
    return names, places[codes] if len(codes) else codes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
