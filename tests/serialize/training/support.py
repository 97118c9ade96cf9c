"""An artifact in memory, for tests that need no files."""

from dataclasses import dataclass
from typing import Any

from serialize.declarations import Declarations
from serialize.frame import as_array, as_table
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.signature import Signature
from serialize.task import Task
from serialize.training.data import TrainingData

_NO_COLUMNS = Signature("frame", ())


@dataclass(frozen=True)
class InMemory:
    """A model, and the data that it was fitted on."""

    model: Model
    data: TrainingData

    def training_data(self) -> TrainingData:
        return self.data


def artifact_of(pipeline: Any) -> InMemory:
    """An artifact of a pipeline without data, for a look at its parts."""
    return InMemory(Model(pipeline, Task("regression"), _NO_COLUMNS), TrainingData(None, None))


def fitted(pipeline: Any, X: Any, y: Any) -> InMemory:
    """A pipeline that is fitted here, with its signature and data."""
    container, table = as_table(X)
    dtype = str(as_array(X).dtype) if container == "array" else None
    signature = infer_signature(container, table, dtype, Declarations.of())
    pipeline.fit(X, y)
    return InMemory(Model(pipeline, infer_task(pipeline), signature), TrainingData(X, y))
