"""Whether labels come back equally often whatever the champion predicted. If not, the labelled rows say little about
the others (selective labels: Lakkaraju et al. 2017)."""

from collections.abc import Mapping
from typing import Any

from serialize.task import Label

MOST_APART = 0.2
LEAST_ROWS = 20  # of a predicted class, so that its share is not chance

_ROUNDING = 1e-9


def coverage_json(coverage: Mapping[Label, tuple[int, int]]) -> list[dict[str, Any]]:
    """The labelled rows, all rows and the labelled share of each predicted class."""
    return [
        {"predicted_class": label, "labelled": labelled, "all": rows, "share": labelled / rows if rows else None}
        for label, (labelled, rows) in coverage.items()
    ]


def dependence(coverage: Mapping[Label, tuple[int, int]]) -> str | None:
    """A sentence if the labelled shares of two predicted classes are more than 20 points apart. A class that was
    predicted fewer than 20 times is not compared."""
    shares = {label: labelled / rows for label, (labelled, rows) in coverage.items() if rows >= LEAST_ROWS}
    if not shares:
        return None
    least, most = min(shares, key=lambda label: shares[label]), max(shares, key=lambda label: shares[label])
    if shares[most] - shares[least] <= MOST_APART + _ROUNDING:
        return None
    return (
        f"{shares[most]:.0%} of the rows with the predicted class {most} have a label, but only {shares[least]:.0%} of "
        f"those with {least}; more than {MOST_APART * 100:.0f} points apart, the labelled rows do not stand for all."
    )
