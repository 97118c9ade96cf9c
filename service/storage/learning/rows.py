"""Reads the labelled rows of the log for learning: first what tells them apart by time, then the chosen ones whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from peewee import fn

from service.prediction.observation import canonical
from service.storage.learning.clock import moment_of
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction

_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows whose caller's id begins with `ids`, made at or after `since` and before `until`. None selects all."""

    ids: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERY_ROW = RowFilter()


class LabelTimes(NamedTuple):
    """A labelled row: its key, when it was made, and when it got its first label."""

    id: int
    created_at: datetime
    labelled_at: datetime


class LabelledRow(NamedTuple):
    """A labelled row. `observation` is JSON text; `truth` is JSON text for a class, a number for a value."""

    id: int
    created_at: datetime
    observation: str
    truth: str | float


class LearningRows:
    """Reads the rows of one kind of task through a session. For one caller at a time. Every method raises Unavailable
    if the database cannot be read now."""

    def __init__(self, session: Session, *, regression: bool) -> None:
        self._session = session
        self._database = session.database
        self._truth = Prediction.true_value if regression else Prediction.true_class
        self._answer = Prediction.predicted_value if regression else Prediction.predicted_class

    def times(self, chosen: RowFilter = EVERY_ROW) -> list[LabelTimes]:
        """The labelled rows, the oldest first."""
        query = Prediction.select(Prediction.id, Prediction.created_at, Prediction.labelled_at)
        query = query.where(*self._conditions(chosen), self._is_labelled())
        query = query.order_by(Prediction.created_at, Prediction.id)
        first = LabelCorrection.select(LabelCorrection.prediction, fn.MIN(LabelCorrection.labelled_at))
        first = first.group_by(LabelCorrection.prediction)

        def read() -> list[LabelTimes]:
            corrected = {id_: moment_of(at) for id_, at in first.tuples().execute(self._database)}
            rows = query.tuples().execute(self._database)
            return [LabelTimes(id_, made, corrected.get(id_, labelled)) for id_, made, labelled in rows]

        return self._session.read(read)

    def blocks(self, ids: Sequence[int]) -> Iterator[list[LabelledRow]]:
        """The rows with these ids that still exist and are still labelled, in blocks, in the order of the ids."""
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            some = ids[start : start + _ROWS_AT_ONCE]
            found = self._session.read(partial(self._rows, some))
            yield [found[id_] for id_ in some if id_ in found]

    def coverage(self, chosen: RowFilter) -> dict[str, tuple[int, int]]:
        """The number of labelled rows and of all rows, by predicted class as JSON text."""
        counts = fn.COUNT(self._truth), fn.COUNT(Prediction.id)
        query = Prediction.select(Prediction.predicted_class, *counts)
        query = query.where(*self._conditions(chosen), Prediction.predicted_class.is_null(False))
        query = query.group_by(Prediction.predicted_class).order_by(Prediction.predicted_class)
        found = self._session.read(lambda: list(query.tuples().execute(self._database)))
        return {text: (labelled, rows) for text, labelled, rows in found}

    def labelled_since(self, moment: datetime, chosen: RowFilter = EVERY_ROW) -> int:
        """The number of rows that got their first label after this moment."""
        query = Prediction.select(fn.COUNT(Prediction.id))
        is_new = (Prediction.labelled_at > moment) & ~was_labelled(LabelCorrection.labelled_at <= moment)
        query = query.where(*self._conditions(chosen), self._is_labelled(), is_new)
        return int(self._session.read(lambda: query.scalar(self._database)))

    def _rows(self, ids: Sequence[int]) -> dict[int, LabelledRow]:
        query = Prediction.select(Prediction.id, Prediction.created_at, Prediction.observation, self._truth)
        query = query.where(Prediction.id.in_(list(ids)), self._is_labelled())
        return {row[0]: LabelledRow(*row) for row in query.tuples().execute(self._database)}

    def _is_labelled(self) -> Any:
        """With an answer of the same kind: the log may hold predictions of another kind of task. An imported label may
        have no time."""
        return self._truth.is_null(False) & self._answer.is_null(False) & Prediction.labelled_at.is_null(False)

    def _conditions(self, chosen: RowFilter) -> list[Any]:
        conditions = []
        if chosen.since is not None:
            conditions.append(Prediction.created_at >= chosen.since)
        if chosen.until is not None:
            conditions.append(Prediction.created_at < chosen.until)
        if chosen.ids is not None:
            conditions.append(_begins_with(chosen.ids))
        return conditions or [Prediction.id.is_null(False)]


def was_labelled(condition: Any) -> Any:
    """Whether a row of the log had a label before its present one, for which this holds."""
    earlier = LabelCorrection.select(LabelCorrection.id).where(LabelCorrection.prediction == Prediction.id, condition)
    return fn.EXISTS(earlier)


def _begins_with(prefix: str) -> Any:
    """Whether the caller's id, which is stored as JSON, begins with the prefix: a string, or an integer."""
    quoted = canonical(prefix)[:-1]
    return (fn.SUBSTR(Prediction.observation_id, 1, len(quoted)) == quoted) | (
        fn.SUBSTR(Prediction.observation_id, 1, len(prefix)) == prefix
    )
