"""The log's rows as so many points and bars as a picture can show, however many rows there are."""

from dataclasses import dataclass

import numpy as np

from service.cells import Cells
from service.intervals import Array

MOST_POINTS = 1_000
MOST_DOTS = 2_000

_GREATEST = 1e100  # beyond, squares and the axes themselves would overflow


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through k points, of shape (k,) each."""

    x: Array
    y: Array


@dataclass(frozen=True, slots=True)
class Bars:
    """Counts of rows within k bins, of shape (k,), and their k + 1 edges. `beyond` rows lie outside all bins and are
    counted with the outermost."""

    edges: Array
    counts: Array
    beyond: int = 0


def roc(cells: Cells) -> Curve:
    """The false positive rate against the true positive rate at every threshold, from none answered positive to
    all."""
    positives, negatives = _answered(cells)
    return _thinned(negatives / negatives[-1], positives / positives[-1])


def precision_recall(cells: Cells) -> Curve:
    """Recall against precision at every threshold. The precision of a step belongs to the recall that it ends at."""
    positives, negatives = (counts[1:] for counts in _answered(cells))
    precision, recall = positives / (positives + negatives), positives / positives[-1]
    return _thinned(np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision]))


def histogram(values: Array, bins: int, low: float, high: float) -> Bars:
    """Values in bins of equal width; what lies outside counts with the outermost."""
    if not low < high:
        low, high = low - 0.5 * (abs(low) or 1), low + 0.5 * (abs(low) or 1)
    counts, edges = np.histogram(values.clip(low, high), bins=bins, range=(low, high))
    return Bars(edges, counts, int(((values < low) | (values > high)).sum()))


def errors(predicted: Array, true: Array, bins: int) -> Bars:
    """Predicted minus true, in bins that leave a hundredth of the rows outside where these lie far out."""
    found = predicted - true
    low, high, inner_low, inner_high = np.quantile(found, [0.0, 1.0, 0.005, 0.995]).tolist()
    margin = inner_high - inner_low
    return histogram(found, bins, max(low, inner_low - margin / 2), min(high, inner_high + margin / 2))


def delays(seconds: Array, bins: int) -> Bars:
    """Seconds in bins of equal width on a logarithmic axis; none is shorter than a millisecond there."""
    powers = np.log10(seconds.clip(1e-3))
    low, high = float(powers.min()), float(powers.max())
    found = histogram(powers, bins, *((low, high) if high - low > 0.1 else (low - 0.5, high + 0.5)))
    return Bars(10**found.edges, found.counts)


def drawable(*arrays: Array) -> bool:
    """Whether all numbers are such as an axis can show."""
    return all(bool((np.abs(array) < _GREATEST).all()) for array in arrays)


def _answered(cells: Cells) -> tuple[Array, Array]:
    """How many of each class are answered positive, from the highest threshold down, beginning with none."""
    positives, negatives = (np.cumsum(counts[::-1]) for counts in (cells.positives, cells.negatives))
    return np.concatenate([[0.0], positives]), np.concatenate([[0.0], negatives])


def _thinned(x: Array, y: Array) -> Curve:
    if len(x) <= MOST_POINTS:
        return Curve(x, y)
    # Evenly along the line, not along the thresholds: many of these may move it by next to nothing.
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    places = np.unique(np.searchsorted(length, np.linspace(0.0, length[-1], MOST_POINTS)))
    return Curve(x[places], y[places])
