"""The form that the metrics of a model have in its manifest. `method` says how they were measured, such as "5-fold
cross-validation", "in-sample", "given" or "none". `metrics` has a `mean` by name, with the standard deviation `std`
over folds if there are folds, and the number of `folds` where a metric is not defined in all of them. `baseline`, if
there is one, has the same members for a model that ignores the columns."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from serialize.errors import DumpError

Figures = Mapping[str, Any]

NONE: Figures = {"method": "none", "metrics": {}}
_KEYS = ("mean", "std", "folds")


def given(metrics: Mapping[str, Any]) -> Figures:
    """The caller's figures: a number by name, or the result of `cross_validate`. Raises DumpError for a value that is
    not a finite number."""
    found = figures(metrics)
    odd = [name for name in _named(metrics) if name not in found["metrics"] or not isinstance(name, str)]
    if odd:
        raise DumpError(f"metrics[{odd[0]!r}] must be a finite number under a name; correct it or leave it out.")
    return found


def figures(data: Mapping[str, Any]) -> Figures:
    """The figures of a manifest in this form. Format 2 stores what `dump` was given: the method of a plain number is
    "given", and a value that is not a finite number is left out."""
    method, baseline = data.get("method"), data.get("baseline")
    return {
        "method": method if isinstance(method, str) else "given",
        **({"splitter": data["splitter"]} if isinstance(data.get("splitter"), str) else {}),
        "metrics": _means(_named(data)),
        **({"baseline": _means(baseline)} if isinstance(baseline, Mapping) else {}),
    }


def _means(named: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    parts = {name: one if isinstance(one, Mapping) else {"mean": one} for name, one in named.items()}
    found = {name: {key: one[key] for key in _KEYS if _is_number(one.get(key))} for name, one in parts.items()}
    return {name: {key: _plain(key, one[key]) for key in one} for name, one in found.items() if "mean" in one}


def _named(data: Mapping[str, Any]) -> Mapping[str, Any]:
    named = data.get("metrics")
    if isinstance(named, Mapping):
        return named
    return {name: value for name, value in data.items() if name != "method" or not isinstance(value, str)}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _plain(key: str, value: Any) -> float | int:
    return int(value) if key == "folds" else float(value)
