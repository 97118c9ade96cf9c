"""The groups that a column of the observation cuts the rows into: its values, or for a number with many of them the
bins of the reference profile."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from serialize.manifest import Manifest
from service.monitoring.intervals import Array

MOST_GROUPS = 50

_FEW_VALUES = 20
_OTHER = "(other values)"


class Groups:
    """Cuts rows by the columns of a manifest."""

    def __init__(self, manifest: Manifest) -> None:
        self._kinds = {column.name: column.kind for column in manifest.signature}
        self._profile = manifest.profile["columns"]

    def of(self, column: str, values: Sequence[str | None], codes: Array) -> Iterator[tuple[Any, Array]]:
        """Yields the groups of rows with these codes, as (value or [from, to] or None for null, mask), the largest
        first; those beyond the fifty largest are one."""
        decoded = [None if value is None else json.loads(value) for value in values]
        edges = self._profile.get(column, {}).get("bins", {}).get("edges", [])
        counts = np.bincount(codes, minlength=len(values))
        numeric = self._kinds[column] in ("integer", "number")
        if numeric and (counts > 0).sum() > _FEW_VALUES and len(edges) > 1:
            names, codes = _binned(decoded, codes, edges)
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
    """The bins by [from, to], the outer ones open, and the bin of each row; what is no number is null."""
    numbers = np.array([value if _is_number(value) else np.nan for value in values], dtype=float)
    bins = np.searchsorted(edges[1:-1], numbers, side="right")
    bins[np.isnan(numbers)] = len(edges) - 1
    bounds = [None, *edges[1:-1], None]
    names: list[Any] = [list(ends) for ends in pairwise(bounds)]
    return [*names, None], bins[codes]


def _merged(values: list[Any], codes: Array) -> tuple[list[Any], Array]:
    """The distinct values, 1 and 1.0 being one, and the place of each row's."""
    place: dict[tuple[bool, str], int] = {}
    names: list[Any] = []
    places = []
    for value in values:
        key = (isinstance(value, str), str(float(value)) if _is_number(value) else json.dumps(value))
        if key not in place:
            place[key] = len(names)
            names.append(value)
        places.append(place[key])
    return names, np.array(places, dtype=np.int64)[codes] if len(codes) else codes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
