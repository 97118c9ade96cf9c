"""An example observation for the API document: typical of the training data, but not a row of it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from serialize.manifest import Manifest
from serialize.signature import Column, Scalar

ObservationValues = Mapping[str, Scalar]


def example_observation(manifest: Manifest, is_answered: Callable[[ObservationValues], bool]) -> ObservationValues:
    """A typical observation made from the reference profile, or the first golden row that works if the model cannot
    score that. `is_answered` tells whether the service can score an observation."""
    return next(filter(is_answered, _candidates(manifest)))


def _candidates(manifest: Manifest) -> Iterator[ObservationValues]:
    columns = manifest.profile["columns"]
    yield {column.name: _typical(column, columns[column.name]) for column in manifest.signature}
    yield from manifest.golden.observations


def _typical(column: Column, profile: Mapping[str, Any]) -> Scalar:
    match column.kind:
        case "boolean":
            return False
        case "category":
            return (column.categories or (None,))[0]
        case "text":
            return None if column.nullable else "text"
    quantiles = profile.get("quantiles")
    if column.datetimes is not None and quantiles is not None:
        return column.datetimes.text(round(quantiles[len(quantiles) // 2]) * 10**9)
    return None if quantiles is None else _rounded(column, quantiles[len(quantiles) // 2])


def _rounded(column: Column, median: float) -> int | float:
    """The median with three significant digits, within the column's limits."""
    least, greatest = column.limits
    number = min(max(float(f"{median:.3g}"), least), greatest)
    return round(number) if column.kind == "integer" else number
