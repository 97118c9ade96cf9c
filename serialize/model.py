"""A fitted pipeline with its signature and task: JSON observations in, numbers out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from serialize.frame import build_input
from serialize.signature import Scalar, Signature
from serialize.task import Indices, Outputs, Task


@dataclass(frozen=True, slots=True)
class Model:
    """The pipeline, its task and its signature."""

    pipeline: Any
    task: Task
    signature: Signature

    def outputs(self, rows: Sequence[Mapping[str, Scalar]]) -> Outputs:
        """The outputs of the pipeline for n observations: probabilities of shape (n, n_classes) in the order of
        `task.classes`, or predicted values of shape (n, 1). They are computed in one thread and ignore `n_jobs`.
        Raises every error of the pipeline."""
        return self.outputs_of(build_input(self.signature, rows))

    def outputs_of(self, X: Any) -> Outputs:
        """The outputs for input in the form that the pipeline was fitted on."""
        with joblib.parallel_config(backend="sequential"):
            if self.task.kind == "regression":
                return np.asarray(self.pipeline.predict(X), dtype=np.float64).reshape(-1, 1)
            return np.asarray(self.pipeline.predict_proba(X), dtype=np.float64)

    def class_indices(self, rows: Sequence[Mapping[str, Scalar]]) -> Indices:
        """The classes of n observations as the pipeline itself decides them, ties included, of shape (n,): indices
        into `task.classes`. Raises every error of the pipeline."""
        return self.class_indices_of(build_input(self.signature, rows))

    def class_indices_of(self, X: Any) -> Indices:
        """The same for input in the form that the pipeline was fitted on. Raises KeyError for a label that is not in
        the `classes_` of the pipeline."""
        if self.task.ties == "rule":
            return self.task.class_indices(self.outputs_of(X))
        with joblib.parallel_config(backend="sequential"):
            predicted = np.asarray(self.pipeline.predict(X)).reshape(-1).tolist()
        position = {label: i for i, label in enumerate(np.asarray(self.pipeline.classes_).tolist())}
        return np.array([position[label] for label in predicted], dtype=np.intp)

    @property
    def single_precision(self) -> bool:
        """Whether all training columns are floats of at most 32 bits, so that the pipeline may compute in them."""
        return all(column.dtype in ("float32", "float16") for column in self.signature)
