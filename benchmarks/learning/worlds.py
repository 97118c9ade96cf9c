"""Simulated worlds with a binary target, and how a challenger comes about in them: for the simulations of the gate."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from service.learning.gate.case import GATE_MARGIN, Case

Array = np.ndarray[Any, np.dtype[Any]]

HOLD_OUT = 300  # the newest rows, which judge the challenger
BLOCK = 300  # the rows before them, which choose the candidate
WINDOW = 500
FRESH = 100_000

_EFFECTS = np.array([2.4, 0.8, -0.5, 0.0, 0.0, 0.0])
_HALF_LIFE = 300.0


@dataclass(frozen=True, slots=True)
class World:
    """One column of two values and five of normal numbers; the logit of the target is linear in the first three.
    `strength` scales all effects, and `flipped` turns that of the first column around."""

    strength: float
    flipped: bool = False

    def rows(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """n rows of shape (n, 6) and their targets, 0 or 1, of shape (n,)."""
        X = rng.normal(size=(count, len(_EFFECTS)))
        X[:, 0] = (X[:, 0] > 0) - 0.5
        effects = _EFFECTS * np.where(np.arange(len(_EFFECTS)) == 0, -1.0 if self.flipped else 1.0, 1.0)
        logit = self.strength * (X @ effects) - 0.4
        return X, (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int64)

    def after_flip(self) -> "World":
        """The same world with the effect of the first column turned around."""
        return replace(self, flipped=not self.flipped)


def fitted(X: Array, y: Array, weights: Array | None = None) -> LogisticRegression:
    """A logistic regression almost without regularisation."""
    return LogisticRegression(C=100.0).fit(X, y, weights)


def proba(model: LogisticRegression, X: Array) -> Array:
    """The probabilities of the class 1, of shape (n,)."""
    return np.asarray(model.predict_proba(X)[:, 1])


def brier(model: LogisticRegression, X: Array, y: Array) -> float:
    """The mean loss of the model on these rows."""
    return float(((proba(model, X) - y) ** 2).mean())


def challenger(base: tuple[Array, Array], X: Array, y: Array) -> LogisticRegression:
    """The candidate with the least loss on the block before the hold-out, fitted again on all rows before the hold-out.

    `base` are the training rows of the champion; `X` and `y` are the log in the order of time. Candidates are fitted
    on all rows, on all rows weighted by recency, and on the newest window. The rule that a candidate must beat the
    constant base rate is left out, so that only the gate can refuse it."""
    block = slice(len(y) - HOLD_OUT - BLOCK, len(y) - HOLD_OUT)
    tried = [_candidate(name, base, X[: block.start], y[: block.start]) for name in _CANDIDATES]
    losses = [brier(model, X[block], y[block]) for model in tried]
    return _candidate(_CANDIDATES[int(np.argmin(losses))], base, X[: block.stop], y[: block.stop])


def case(champion: LogisticRegression, other: LogisticRegression, X: Array, y: Array, attempt: int = 1) -> Case:
    """The case of the hold-out at the end of the log."""
    X, y = X[-HOLD_OUT:], y[-HOLD_OUT:]
    return Case("binary", y, proba(champion, X), proba(other, X), attempt=attempt, margin=GATE_MARGIN)


_CANDIDATES = ("all", "recent", "window")


def _candidate(name: str, base: tuple[Array, Array], X: Array, y: Array) -> LogisticRegression:
    X, y = np.concatenate([base[0], X]), np.concatenate([base[1], y])
    if name == "window":
        return fitted(X[-WINDOW:], y[-WINDOW:])
    age = np.arange(len(y), 0, -1)
    return fitted(X, y, 0.5 ** (age / _HALF_LIFE) if name == "recent" else None)
