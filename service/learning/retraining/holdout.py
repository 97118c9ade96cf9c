"""Which labelled rows judge a challenger: the newest ones that are old enough to have all their labels, and that no
model was trained on."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from serialize.task import Task
from service.learning.gate.missing import ENOUGH_OTHERS, ENOUGH_ROWS
from service.learning.retraining.examples import Examples, truth_array
from service.learning.retraining.row_keys import RowKey
from service.storage.learning.rows import LabelTimes
from service.storage.models.store import StoredModel

USUAL_ROWS = 300
MOST_ROWS = 20_000
_ONE_IN = 50
_SMALL_LOG = 3  # up to USUAL_ROWS, one row in so many
_QUANTILE = 0.95


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """The rows of the log that a version counts as trained on: those made up to `until`, with keys up to `last_id`. At
    least one is given."""

    until: datetime | None
    last_id: int | None = None

    def holds(self, id_: int, created_at: datetime) -> bool:
        """Whether the version counts as trained on a row."""
        if self.until is not None:
            return created_at <= self.until
        return self.last_id is not None and id_ <= self.last_id


@dataclass(frozen=True, slots=True)
class Split:
    """The examples in the order of time: `training` is older than the block `choosing`, which is older than `holdout`.
    `chooses` are those of the block that the candidate is chosen by. `left_out` counts, by reason, the rows that are
    left out of the hold-out, and `by_champion` those that are too old for it because of the champion's training."""

    training: Examples
    choosing: Examples
    chooses: Examples
    holdout: Examples
    left_out: Mapping[str, int]
    by_champion: int

    @property
    def before(self) -> Examples:
        """All examples before the hold-out."""
        training, choosing = self.training, self.choosing
        return Examples(
            *(
                [*getattr(training, name), *getattr(choosing, name)]
                for name in ("ids", "times", "rows", "truths", "keys")
            )
        )


def maturity_of(keys: Sequence[LabelTimes]) -> timedelta:
    """The 95 % quantile of the time from a prediction to its label. A younger row has a label only if that came
    early."""
    delays = [(key.labelled_at - key.created_at) / timedelta(seconds=1) for key in keys]
    return timedelta(seconds=max(0.0, float(np.quantile(delays, _QUANTILE)))) if delays else timedelta()


def trained_on(model: StoredModel, training: Mapping[str, Any] | None) -> TrainedOn:
    """The rows that a version was trained on, by the record of its training in the manifest or else by its row in the
    registry. Without a record it counts as trained on everything before it was registered."""
    window = (training or {}).get("window") or {}
    if window.get("until"):
        return TrainedOn(datetime.fromisoformat(window["until"]))
    if model.trained_until is not None:
        return TrainedOn(None, model.trained_until)
    return TrainedOn(model.registered_at)


def split(
    examples: Examples, task: Task, champion: TrainedOn, base: Collection[RowKey], wanted: int | None = None
) -> Split:
    """Splits examples by time. `base` are the keys of rows outside of the log that one of the models was, or will be,
    trained on. A row that is equal to one of them, or to an older row of the log, cannot judge.

    The hold-out has `wanted` rows; by default a third of the examples up to 300, then 300, then 1 in 50, but at least
    200 and at most 20,000. It becomes larger, up to half of the examples, until 20 rows are outside the largest class.
    If there are not so many rows, it is smaller. The choosing block before it has as many rows, but at most half of
    what is there; of these, rows that are equal to an older one do not choose."""
    count = len(examples)
    first: dict[RowKey, int] = {}
    # A row can judge if the hold-out begins at or before the first row that it is equal to.
    begins = np.array([first.setdefault(key, i) for i, key in enumerate(examples.keys)], dtype=np.intp)
    is_known = np.array([key in base for key in examples.keys], dtype=bool)
    is_trained = np.array(
        [champion.holds(id_, at) for id_, at in zip(examples.ids, examples.times, strict=True)], dtype=bool
    )
    oldest = int(np.flatnonzero(is_trained)[-1]) + 1 if is_trained.any() else 0
    can_judge = ~is_known & (begins >= oldest)
    start = max(oldest, _start(examples, task, begins, can_judge, wanted or usual_rows(count)))
    chosen = [i for i in range(start, count) if can_judge[i] and begins[i] >= start]
    counted = start if chosen else oldest  # if no row can judge, it is said why not
    left_out = Counter(
        {
            "equal to a training row": int(is_known[counted:].sum()),
            "equal to an older row of the log": int((~is_known[counted:] & (begins[counted:] < start)).sum()),
        }
    )
    middle = max(start // 2, start - max(1, len(chosen)))
    chooses = [i for i in range(middle, start) if not is_known[i] and begins[i] >= middle]
    return Split(
        training=examples.between(0, middle),
        choosing=examples.between(middle, start),
        chooses=examples.take(chooses),
        holdout=examples.take(chosen),
        left_out=dict(+left_out),
        by_champion=oldest,
    )


def usual_rows(count: int) -> int:
    """The number of rows that judge, of so many examples."""
    return min(MOST_ROWS, max(ENOUGH_ROWS, count // _ONE_IN, min(USUAL_ROWS, count // _SMALL_LOG)))


def _start(examples: Examples, task: Task, begins: Any, can_judge: Any, wanted: int) -> int:
    """The newest place from which on there are enough rows that can judge; the place of the oldest such row if there
    are never enough."""
    places = np.flatnonzero(can_judge)
    if not len(places):
        return len(examples)
    newest = places[np.argsort(-begins[places], kind="stable")]
    enough = np.arange(1, len(newest) + 1) >= min(wanted, len(newest))
    if task.kind != "regression":
        truth = truth_array(task, [examples.truths[i] for i in newest])
        counts = (truth[:, None] == np.arange(len(task.classes))).cumsum(axis=0)
        more = (counts.sum(axis=1) - counts.max(axis=1)) >= ENOUGH_OTHERS
        enough &= more | (np.arange(1, len(newest) + 1) >= max(wanted, len(examples) // 2))
    return int(begins[newest[np.argmax(enough) if enough.any() else len(newest) - 1]])
