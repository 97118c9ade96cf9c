"""The labelled rows of the log with the answers of two models: the answer of a row is that of its own model, or the
score that another model was asked for later."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from peewee import JOIN, Case, Database, ModelSelect, fn

from serialize.task import Task
from service.prediction.moment import moment_of
from service.prediction.observation import canonical
from service.storage.column_cache import Array
from service.storage.learning.rows import was_labelled
from service.storage.learning.tables import ShadowScore
from service.storage.tables import LabelCorrection, Prediction

_BLOCK = 500  # a few milliseconds, after which a report gives way to predictions


class Answering(NamedTuple):
    """A model version with its task."""

    version: str
    task: Task


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Labelled rows made at or after `since` and before `until` (microseconds since 1970, UTC), whose first label came
    at or after `labelled_since`. None sets no limit."""

    since: int | None = None
    until: int | None = None
    labelled_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """n rows that both models answered, as arrays of shape (n,): `id`, `labelled` in microseconds since 1970, and
    `truth`, indices of the classes of the first model, or values. `first` and `second` are the outputs: the
    probabilities of the first model's positive class, of shape (n,), or of its classes, of shape (n, k), or values.
    `only_first` and `only_second` are the numbers of labelled rows that only one of them answered."""

    id: Array
    labelled: Array
    truth: Array
    first: Array
    second: Array
    only_first: int = 0
    only_second: int = 0

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def joined(cls, parts: Sequence["Pairs"]) -> "Pairs":
        """All blocks as one. There must be at least one."""
        arrays = zip(*(part._arrays() for part in parts), strict=True)
        id_, labelled, truth, first, second = map(np.concatenate, arrays)
        only_first, only_second = (sum(getattr(part, name) for part in parts) for name in ("only_first", "only_second"))
        return cls(id_, labelled, truth, first, second, only_first, only_second)

    def earliest(self, count: int) -> "Pairs":
        """The first `count` of them by the time of their label."""
        chosen = np.lexsort((self.id, self.labelled))[:count]
        id_, labelled, truth, first, second = (array[chosen] for array in self._arrays())
        return Pairs(id_, labelled, truth, first, second, self.only_first, self.only_second)

    def _arrays(self) -> tuple[Array, ...]:
        return self.id, self.labelled, self.truth, self.first, self.second


class PairReader:
    """Reads the pairs of two models of the same kind of task with the same classes, through an open connection."""

    def __init__(self, database: Database, first: Answering, second: Answering) -> None:
        self._database = database
        self._first, self._second = first, second
        self._task = first.task
        self._places = {canonical(label): place for place, label in enumerate(first.task.classes)}

    def blocks(self, wanted: LabelledRows) -> Iterator[Pairs]:
        """The pairs in blocks by ascending id. The first block, maybe an empty one, comes in any case."""
        yield self._pairs([])
        after = 0
        while (first := self._next(after)) is not None:
            after = first + _BLOCK - 1
            yield self._pairs(list(self._query(wanted, first, after).tuples().execute(self._database)))

    def _next(self, after: int) -> int | None:
        found: int | None = Prediction.select(fn.MIN(Prediction.id)).where(Prediction.id > after).scalar(self._database)
        return found

    def _query(self, wanted: LabelledRows, first: int, last: int) -> "ModelSelect[Prediction]":
        regression = self._task.kind == "regression"
        truth = Prediction.true_value if regression else Prediction.true_class
        column = {"regression": "predicted_value", "binary": "proba", "multiclass": "probas"}[self._task.kind]
        a, b = ShadowScore.alias("a"), ShadowScore.alias("b")
        query = Prediction.select(
            Prediction.id,
            Prediction.labelled_at,
            truth,
            _answer(a, self._first.version, column),
            _answer(b, self._second.version, column),
        )
        for alias, one in ((a, self._first), (b, self._second)):
            on = (alias.prediction == Prediction.id) & (alias.version == one.version)
            query = query.join(alias, JOIN.LEFT_OUTER, on=on).switch(Prediction)
        query = query.where(Prediction.id.between(first, last), truth.is_null(False)).order_by(Prediction.id)
        if wanted.since is not None:
            query = query.where(Prediction.created_at >= _moment(wanted.since))
        if wanted.until is not None:
            query = query.where(Prediction.created_at < _moment(wanted.until))
        if wanted.labelled_since is not None:
            is_older = was_labelled(LabelCorrection.labelled_at < wanted.labelled_since)
            query = query.where(Prediction.labelled_at >= wanted.labelled_since, ~is_older)
        return query

    def _pairs(self, rows: Sequence[tuple[Any, ...]]) -> Pairs:
        known = [row for row in rows if self._task.kind == "regression" or row[2] in self._places]
        both = [row for row in known if row[3] is not None and row[4] is not None]
        truths = [row[2] if self._task.kind == "regression" else self._places[row[2]] for row in both]
        return Pairs(
            id=np.array([row[0] for row in both], np.int64),
            labelled=np.array([_microseconds(row[1]) for row in both], np.int64),
            truth=np.array(truths, np.float64 if self._task.kind == "regression" else np.int64),
            first=self._outputs(self._first.task, [row[3] for row in both]),
            second=self._outputs(self._second.task, [row[4] for row in both]),
            only_first=sum(row[3] is not None and row[4] is None for row in known),
            only_second=sum(row[3] is None and row[4] is not None for row in known),
        )

    def _outputs(self, task: Task, answers: Sequence[Any]) -> Array:
        """The answers of a model in the terms of the first model's task."""
        if task.kind == "multiclass":
            labels = [str(label) for label in self._task.classes]
            found = [[probas[label] for label in labels] for probas in map(json.loads, answers)]
            return np.array(found, np.float64).reshape(len(answers), len(labels))
        numbers = np.array(answers, np.float64)
        return 1 - numbers if task.positive_class != self._task.positive_class else numbers


def _answer(scores: Any, version: str, column: str) -> Any:
    return Case(None, [(Prediction.model_version == version, getattr(Prediction, column))], getattr(scores, column))


def _moment(microseconds: int) -> datetime:
    return datetime.fromisoformat(moment_of(microseconds)).astimezone(UTC)


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
