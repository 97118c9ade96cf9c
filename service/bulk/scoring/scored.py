"""A batch of rows with their scores, in arrays."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from serialize.task import Indices, Outputs, Task
from service.bulk.scoring.observed_rows import ObservedRows
from service.errors import Fault, InvalidBody
from service.prediction.columns import ScoreColumns
from service.prediction.scoring import Score


class ScoredBatch(NamedTuple):
    """A batch of n rows. `places` are the m rows with a score; `numbers`, `class_indices` and `probas` are as in
    ScoreColumns, as arrays of m rows. `ids` and `kept` are their ids and the columns to keep, `faults` those of the
    other rows by their place. `versions` are the versions of the models that gave the m answers, if they are not all by
    the model that scores; `replayed` is how many of the answers were in the log."""

    places: np.ndarray[Any, np.dtype[np.intp]]
    ids: pa.Array | None
    scores: "ScoreArrays"
    faults: Mapping[int, Sequence[Fault]]
    kept: Mapping[str, pa.Array]
    observed: ObservedRows
    versions: pa.Array | None = None
    replayed: int = 0

    def at(self, rows: "np.ndarray[Any, np.dtype[np.intp]]") -> "ScoredBatch":
        """The batch with only these of the m rows, given by their places among them."""
        taken = pa.array(rows)
        return self._replace(
            places=self.places[rows],
            ids=None if self.ids is None else self.ids.take(taken),
            scores=self.scores.at(rows),
            kept={name: column.take(taken) for name, column in self.kept.items()},
            versions=None if self.versions is None else self.versions.take(taken),
        )


class ScoreArrays(NamedTuple):
    """The scores of n observations as ScoreColumns has them, in arrays."""

    numbers: np.ndarray[Any, np.dtype[np.float64]]
    class_indices: np.ndarray[Any, np.dtype[np.intp]]
    probas: np.ndarray[Any, np.dtype[np.float64]] | None

    @classmethod
    def empty(cls, rows: int, task: Task) -> "ScoreArrays":
        """Places for the scores of n rows."""
        probas = np.zeros((rows, len(task.classes))) if task.kind == "multiclass" else None
        return cls(np.zeros(rows), np.zeros(rows, dtype=np.intp), probas)

    def set_arrays(self, places: Any, scores: "tuple[Outputs, Indices | None, Outputs | None]") -> None:
        """Sets the scores of the rows at these places, as `Scorer.score_arrays` gives them."""
        for array, found in zip(self, scores, strict=True):
            if array is not None and found is not None:
                array[places] = found

    def set_each(
        self, places: Iterable[int], scores: Sequence[Score | Exception], task: Task
    ) -> dict[int, list[Fault]]:
        """Sets the scores of the rows at these places, and returns the faults of those that the model refuses. Raises
        any other error."""
        faults: dict[int, list[Fault]] = {}
        for place, score in zip(places, scores, strict=True):
            if isinstance(score, Score):
                self.set_one(place, score, task)
            elif isinstance(score, InvalidBody):
                faults[place] = list(score.faults)
            else:
                raise score
        return faults

    def set_one(self, place: int, score: Score, task: Task) -> None:
        """Sets the score of one row."""
        if score.predicted_value is not None:
            self.numbers[place] = score.predicted_value
            return
        self.numbers[place] = score.proba
        self.class_indices[place] = task.classes.index(score.predicted_class)
        if self.probas is not None and score.probas is not None:
            self.probas[place] = [score.probas[str(label)] for label in task.classes]

    def copy_one(self, place: int, other: int) -> None:
        """Gives one row the score of another."""
        for array in (self.numbers, self.class_indices, self.probas):
            if array is not None:
                array[place] = array[other]

    def to_columns(self, task: Task) -> ScoreColumns:
        """The same scores as lists."""
        indices = None if task.kind == "regression" else self.class_indices.tolist()
        return ScoreColumns(self.numbers.tolist(), indices, self.probas)

    def at(self, places: Any) -> "ScoreArrays":
        """The scores of the rows at these places."""
        return ScoreArrays(
            self.numbers[places], self.class_indices[places], None if self.probas is None else self.probas[places]
        )
