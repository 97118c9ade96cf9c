"""Cases for the tests of the gate."""

from dataclasses import replace
from typing import Any

import numpy as np

from service.learning.gate.case import Case
from service.monitoring.intervals import Array


def binary(rows: int = 400, *, champion_noise: float = 1.0, challenger_noise: float = 1.0, seed: int = 0) -> Case:
    """A case whose models know the logit up to noise of these sizes."""
    rng = np.random.default_rng(seed)
    logit = 1.5 * rng.normal(size=rows)
    truth = (rng.random(rows) < sigmoid(logit)).astype(np.int64)
    champion, challenger = (
        sigmoid(logit + noise * rng.normal(size=rows)) for noise in (champion_noise, challenger_noise)
    )
    return Case("binary", truth, champion, challenger)


def better(rows: int = 400, **changes: Any) -> Case:
    """A case whose challenger is much better."""
    return replace(binary(rows, champion_noise=3.0, challenger_noise=0.1), **changes)


def sigmoid(logit: Array) -> Array:
    """The probabilities of these logits."""
    return np.asarray(1 / (1 + np.exp(-logit)))
