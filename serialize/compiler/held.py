"""What a fitted step holds: the values that it mentions, and code of the user's own."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype
from sklearn.base import BaseEstimator

from serialize.transformers import documents

_LIBRARIES = frozenset(("sklearn", "category_encoders", "feature_engine", "imblearn"))


def mentioned(value: Any, depth: int = 6) -> Iterator[str | float]:
    """The strings and numbers in the parameters and attributes of a step, which it may tell apart from others."""
    if isinstance(value, str | int | float):
        yield value
    elif isinstance(value, np.ndarray | np.generic):
        yield from (each for each in value.ravel().tolist() if isinstance(each, str | int | float))
    elif depth and not callable(value):
        yield from (each for inner in _inner(value) for each in mentioned(inner, depth - 1))


def _inner(value: Any) -> Iterator[Any]:
    """What a container or an object holds."""
    if isinstance(value, Mapping):
        yield from (each for item in value.items() for each in item)
    elif isinstance(value, list | tuple | set | frozenset | pd.Index | pd.Series):
        yield from value
    elif isinstance(value, pd.DataFrame):
        yield from (value[name] for name in value.columns)
    elif hasattr(value, "__dict__"):
        yield from vars(value).values()


def is_own(value: Any, depth: int = 6) -> bool:
    """Whether a step is, or holds, a function or an estimator of the user's own. A function of numpy or pandas may tell
    any values apart too."""
    if isinstance(value, str | int | float | np.ndarray | np.generic | np.dtype | ExtensionDtype | type | None):
        return False
    if isinstance(value, partial):
        return any(is_own(each, depth) for each in (value.func, value.args, value.keywords))
    if callable(value):
        return value is not documents and _library(value) not in _LIBRARIES
    if isinstance(value, BaseEstimator) and _library(type(value)) not in _LIBRARIES:
        return True
    return depth > 0 and any(is_own(each, depth - 1) for each in _inner(value))


def _library(value: Any) -> str:
    return str(getattr(value, "__module__", None) or type(value).__module__).partition(".")[0]
