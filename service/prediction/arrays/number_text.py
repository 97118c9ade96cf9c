"""Floats as JSON texts, many in one call. The log has them as pydantic writes them, and an answer as Python does: the
two differ only for very small and very large numbers."""

from collections.abc import Sequence

import numpy as np
from pydantic_core import to_json

# Below the first and from the second on, Python writes an exponent. Pydantic may write none, or another form of it.
_SMALL, _LARGE = 1e-4, 1e16


def log_texts(numbers: Sequence[float | None]) -> list[str]:
    """n finite floats or integers as in the log: each as `canonical` writes it. None is null."""
    return to_json(numbers)[1:-1].decode().split(",") if numbers else []


def answer_texts(numbers: Sequence[float]) -> list[str]:
    """n finite floats as in an answer: each as `json.dumps` writes it."""
    texts = log_texts(numbers)
    sizes = np.abs(np.array(numbers, dtype=np.float64))
    for i in np.flatnonzero((sizes < _SMALL) | (sizes >= _LARGE)).tolist():
        texts[i] = repr(numbers[i])
    return texts
