"""Brings two models and the hold-out before the gate."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serialize.frame import Row
from serialize.model import Model
from serialize.task import Label
from service.learning.gate.case import Case
from service.learning.gate.missing import missing
from service.learning.gate.verdict import Verdict
from service.learning.retraining.candidates import outputs_of, positive_of
from service.learning.retraining.examples import Array, Examples, truth_array
from service.learning.retraining.options import RetrainOptions

_ROWS_AT_ONCE = 1_000


def case_of(
    champion: Model,
    challenger: Model,
    holdout: Examples,
    options: RetrainOptions,
    coverage: dict[Label, tuple[int, int]],
    attempt: int,
    new_labels: int | None,
    margin: float,
) -> Case:
    """The case of two models with the same classes, whose answers to the hold-out are computed here."""
    task, is_binary = champion.task, champion.task.kind == "binary"
    outputs = [positive_of(task, outputs_of(model, holdout.rows)) for model in (champion, challenger)]
    classes = [_classes(model, holdout.rows) if is_binary else None for model in (champion, challenger)]
    return Case(
        kind=task.kind,
        truth=truth_array(task, holdout.truths),
        champion=outputs[0],
        challenger=outputs[1],
        positive=task.positive_index if is_binary else 0,
        champion_classes=classes[0],
        challenger_classes=classes[1],
        coverage=coverage,
        clusters=None if options.cluster is None else _column(holdout.rows, options.cluster),
        guards={name: _column(holdout.rows, name) for name in options.guards},
        attempt=attempt,
        new_labels=new_labels,
        margin=margin,
    )


def lacks(model: Model, holdout: Examples, options: RetrainOptions, attempt: int, new_labels: int | None) -> list[str]:
    """What a decision on this hold-out would lack, one phrase each. It is known before anything is fitted."""
    truth = truth_array(model.task, holdout.truths)
    clusters = None if options.cluster is None else _column(holdout.rows, options.cluster)
    case = Case(model.task.kind, truth, truth, truth, clusters=clusters, attempt=attempt, new_labels=new_labels)
    return missing(case)


def is_clearly_worse(verdict: Verdict) -> bool:
    """Whether the gate refuses a challenger: its loss is significantly higher, or that of a guarded group."""
    low = verdict.figures.get("low")
    return verdict.outcome == "guarded group is worse" or (
        verdict.outcome == "not better" and low is not None and low > 0
    )


def _classes(model: Model, rows: Sequence[Row]) -> Array:
    parts = [model.class_indices(rows[i : i + _ROWS_AT_ONCE]) for i in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate(parts)


def _column(rows: Sequence[Row], name: str) -> Array:
    """The values of a column, of shape (n,)."""
    values: np.ndarray[Any, np.dtype[Any]] = np.empty(len(rows), dtype=object)
    values[:] = [row[name] for row in rows]
    return values
