"""The table of answers: one row for each scored row of the input."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from serialize.task import Label, Task
from service.bulk.scoring.layout import Layout, LayoutError
from service.bulk.scoring.observed_rows import ObservedRows
from service.bulk.scoring.scored import ScoreArrays, ScoredBatch


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """Makes the tables of answers for one model, layout and schema of the input."""

    task: Task
    version: str
    layout: Layout
    row_numbers: bool = False

    def require_names(self) -> None:
        """Raises LayoutError if a kept column has the name of a column of the answers."""
        for name in self.layout.kept:
            if name in self._own():
                raise LayoutError(f"--keep {name}: the answers have a column of this name; rename yours.")

    def table(self, scored: ScoredBatch, numbers: "np.ndarray[Any, np.dtype[np.int64]]") -> pa.Table:
        """The answers to those of n rows that were scored; `numbers` are the numbers of all n in their file."""
        columns: dict[str, Any] = {}
        if scored.ids is not None:
            columns["id"] = scored.ids
        if self.row_numbers:
            columns["row_number"] = pa.array(numbers[scored.places])
        columns |= self._scores(scored)
        one_version = pa.repeat(pa.scalar(self.version), len(scored.places))
        columns["model_version"] = one_version if scored.versions is None else scored.versions
        return pa.table({**columns, **scored.kept})

    def nothing(self) -> pa.Table:
        """The answers to no row. The kept columns are text."""
        ids = None if self.layout.id is None else pa.array([], pa.int64())
        kept = {name: pa.array([], pa.string()) for name in self.layout.kept}
        places = np.zeros(0, dtype=np.intp)
        scores, observed = ScoreArrays.empty(0, self.task), ObservedRows({}, {})
        return self.table(ScoredBatch(places, ids, scores, {}, kept, observed), np.zeros(0, np.int64))

    def _scores(self, scored: ScoredBatch) -> dict[str, pa.Array]:
        scores, task = scored.scores, self.task
        if task.kind == "regression":
            return {"predicted_value": pa.array(scores.numbers)}
        columns = {
            "predicted_class": _labels(task).take(pa.array(scores.class_indices)),
            "proba": pa.array(scores.numbers),
        }
        if scores.probas is not None:
            columns |= {f"probas.{label}": pa.array(scores.probas[:, i]) for i, label in enumerate(task.classes)}
        return columns

    def _own(self) -> set[str]:
        answers = {"predicted_value"} if self.task.kind == "regression" else {"predicted_class", "proba"}
        probas = {f"probas.{label}" for label in self.task.classes} if self.task.kind == "multiclass" else set()
        return {"id", "model_version"} | answers | probas | ({"row_number"} if self.row_numbers else set())


def _labels(task: Task) -> pa.Array:
    """The classes as one Arrow array; text if they are of several types."""
    kinds: set[type[Label]] = {type(label) for label in task.classes}
    return pa.array(task.classes if len(kinds) == 1 else list(map(str, task.classes)))
