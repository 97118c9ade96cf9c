"""A scored batch whose rows get the answers that the log has."""

import numpy as np
import pyarrow as pa

from serialize.task import Task
from service.bulk.scoring.scored import ScoreArrays, ScoredBatch
from service.errors import Fault, pointer
from service.prediction.record import Record
from service.prediction.scoring import Score

_EXPECTED = "an id that is not taken by an answer of another kind of model"


class LoggedBatch:
    """A batch that `version` of a model with this task has scored. A row is given by its place among the m rows with a
    score."""

    def __init__(self, scored: ScoredBatch, task: Task, version: str) -> None:
        self._scored = scored
        self._task = task
        self._version = version
        self._faults: dict[int, Fault] = {}
        self._versions: dict[int, str | None] = {}
        self._replayed = 0

    @property
    def scores(self) -> ScoreArrays:
        """The answers of the m rows."""
        return self._scored.scores

    def refuse(self, row: int, fault: Fault) -> None:
        """Rejects a row."""
        self._faults[row] = fault

    def replay(self, row: int, record: Record) -> None:
        """Gives a row its stored answer. An answer that the output has no columns for is a fault."""
        if not _can_give(self._task, record.score):
            what = "already exists with an answer of another kind of model"
            self.refuse(row, Fault.of_id(pointer("id"), record.observation_id, what, _EXPECTED, "conflict"))
            return
        self.scores.set_one(row, record.score, self._task)
        self._versions[row] = record.model_version
        self._replayed += 1

    def repeat(self, row: int, before: int) -> None:
        """Gives a row the answer of an earlier one, whose id and observation it has."""
        self.scores.copy_one(row, before)
        self._replayed += 1

    def answered(self) -> ScoredBatch:
        """The batch with the stored answers, and with the refused rows among its faults."""
        scored = self._scored
        if self._versions:
            versions = [self._versions.get(row, self._version) for row in range(len(scored.places))]
            scored = scored._replace(versions=pa.array(versions, pa.string()))
        scored = scored._replace(replayed=self._replayed)
        if not self._faults:
            return scored
        faults = {int(scored.places[row]): [fault] for row, fault in self._faults.items()}
        left = np.delete(np.arange(len(scored.places)), list(self._faults))
        return scored.at(left)._replace(faults={**scored.faults, **faults})


def _can_give(task: Task, score: Score) -> bool:
    """Whether a model with this task could have given a stored answer."""
    if score.predicted_value is not None or task.kind == "regression":
        return score.predicted_value is not None and task.kind == "regression"
    names = {str(label) for label in task.classes} if task.kind == "multiclass" else set()
    return score.predicted_class in task.classes and set(score.probas or ()) == names
