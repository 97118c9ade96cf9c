"""Compares two models on the labelled rows of the log that both answered: the body of GET /performance?compare=, and
what `python -m service compare` prints."""

import math
from collections.abc import Iterator
from typing import Any

from peewee import Database

from serialize.task import Task
from service.errors import Fault, InvalidQuery
from service.learning.gate.comparison import LossDifference, compare_losses, finite
from service.learning.gate.losses import LOSS_NAMES, GateError
from service.monitoring.drift import ModelVersion
from service.monitoring.intervals import LEVEL
from service.pacing import give_way
from service.prediction.filter import Selection
from service.storage.learning.pairs import Answering, LabelledRows, PairReader, Pairs

FIRST, SECOND, NEITHER = "first", "second", "neither"  # which of two models is better


def comparison(database: Database, first: ModelVersion, second: ModelVersion, selection: Selection) -> dict[str, Any]:
    """The losses of two models on the same labelled rows, made from `since` and before `until`, through an open
    connection: finite JSON. `difference` is that of the second minus that of the first, and `better` says which one is
    better, if the 95 % interval of the difference does not hold 0. Raises InvalidQuery if their tasks differ."""
    pairs = read_pairs(database, first, second, LabelledRows(selection.since, selection.until))
    losses = losses_of(first.manifest.task, pairs)
    return {
        "first": first.version,
        "second": second.version,
        "rows": len(pairs),
        "only_first": pairs.only_first,
        "only_second": pairs.only_second,
        "loss": losses.name,
        "first_loss": finite(losses.first),
        "second_loss": finite(losses.second),
        "difference": {
            "value": finite(losses.difference),
            "low": finite(losses.low),
            "high": finite(losses.high),
        },
        "interval": LEVEL,
        "better": FIRST if losses.low > 0 else SECOND if losses.high < 0 else NEITHER,
    }


def read_pairs(database: Database, first: ModelVersion, second: ModelVersion, wanted: LabelledRows) -> Pairs:
    """The rows that both models answered. Raises InvalidQuery if their tasks differ."""
    one, other = first.manifest.task, second.manifest.task
    if one.kind != other.kind or set(map(repr, one.classes)) != set(map(repr, other.classes)):
        expected = "two models of the same kind of task with the same classes"
        raise InvalidQuery([Fault.of_parameter("compare", f"{first.version},{second.version}", expected)])
    reader = PairReader(database, Answering(first.version, one), Answering(second.version, other))
    return Pairs.joined(list(_paced(reader.blocks(wanted))))


def losses_of(task: Task, pairs: Pairs) -> LossDifference:
    """The losses on these rows, with the 95 % interval of their difference. Without rows, or if the squared errors are
    too large for a double, all figures are NaN."""
    positive = task.positive_index if task.kind == "binary" else 1
    try:
        return compare_losses(
            task.kind, pairs.truth, pairs.first, pairs.second, level=round(1 - LEVEL, 6), positive=positive
        )
    except GateError:
        nan = math.nan
        return LossDifference(LOSS_NAMES[task.kind], len(pairs), nan, nan, nan, nan, nan, 1 - LEVEL)


def _paced(blocks: Iterator[Pairs]) -> Iterator[Pairs]:
    for block in blocks:
        yield block
        give_way()
