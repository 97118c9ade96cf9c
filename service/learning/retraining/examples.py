"""Labelled rows as examples to learn from: parsed like a request, with the class or value that turned out to be true.
What does not fit the model is left out and counted by its reason."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from serialize.frame import Row
from serialize.signature import Signature
from serialize.task import Label, Task
from service.errors import InvalidBody
from service.learning.retraining.row_keys import RowKey, row_key_of
from service.prediction.observation import ObservationParser
from service.prediction.true_label import LabelParser
from service.storage.learning.rows import LabelledRow

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Examples:
    """n labelled rows by ascending time: the keys and times of their rows in the log, their observations, their true
    classes or values, and `keys`, which are equal for equal observations."""

    ids: Sequence[int] = ()
    times: Sequence[datetime] = ()
    rows: Sequence[Row] = ()
    truths: Sequence[Label] = ()
    keys: Sequence[RowKey] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: Iterable[int]) -> "Examples":
        """The examples at these places."""
        chosen = list(places)
        ids, times, rows = ([values[i] for i in chosen] for values in (self.ids, self.times, self.rows))
        return Examples(ids, times, rows, [self.truths[i] for i in chosen], [self.keys[i] for i in chosen])  # type: ignore[arg-type]

    def between(self, start: int, end: int) -> "Examples":
        """The examples from one place up to another."""
        return self.take(range(start, end))


@dataclass(slots=True)
class ExampleReader:
    """Makes examples of rows for a model. `left_out` counts the rows that it refused, by reason."""

    task: Task
    signature: Signature
    left_out: Counter[str] = field(default_factory=Counter)

    def read(self, blocks: Iterable[Sequence[LabelledRow]]) -> Examples:
        """The examples of rows of the log."""
        parse, labels, key_of = ObservationParser(self.signature), LabelParser(self.task), row_key_of(self.signature)
        ids, times, rows, truths, keys = [], [], [], [], []
        for block in blocks:
            for logged in block:
                row = self._row(parse, json.loads(logged.observation))
                label = labels.label(_value(logged.truth))
                if label is None:
                    self.left_out["the label is not one of the model's classes"] += 1
                elif row is not None:
                    ids.append(logged.id)
                    times.append(logged.created_at)
                    rows.append(row)
                    truths.append(label)
                    keys.append(key_of(row))
        return Examples(ids, times, rows, truths, keys)

    def read_own(self, observations: Sequence[Any], targets: Sequence[Any]) -> tuple[list[Row], list[Label]]:
        """The observations of a file that have a label, with their labels."""
        parse, labels = ObservationParser(self.signature), LabelParser(self.task)
        found = []
        for observation, target in zip(observations, targets, strict=True):
            label = None if target is None else labels.label(target)
            if label is None:
                self.left_out["the row of the file has no label"] += 1
                continue
            row = self._row(parse, observation)
            if row is not None:
                found.append((row, label))
        return [row for row, _ in found], [label for _, label in found]

    def _row(self, parser: ObservationParser, observation: Any) -> Row | None:
        try:
            return parser.parse({"id": 0, "observation": observation}).values
        except InvalidBody as error:
            column = error.faults[0].pointer.removeprefix("/observation/")
            self.left_out[f"the model refuses {column}"] += 1
            return None


def truth_array(task: Task, truths: Sequence[Label]) -> Array:
    """The true classes as indices into the classes of the task, or the true values, of shape (n,)."""
    if task.kind == "regression":
        return np.array(truths, dtype=np.float64)
    place: Mapping[Label, int] = {label: i for i, label in enumerate(task.classes)}
    return np.array([place[label] for label in truths], dtype=np.intp)


def _value(truth: str | float) -> Any:
    return json.loads(truth) if isinstance(truth, str) else truth
