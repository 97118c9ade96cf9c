"""A fitted pipeline with its signature and task: JSON observations in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from serialize.errors import DumpError, one_line
from serialize.frame import Columns, Row, build_input, build_input_by_column
from serialize.infer_task import one_per_output
from serialize.signature import Signature
from serialize.task import Indices, Outputs, Task

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Model:
    """The pipeline, its task and its signature."""

    pipeline: Any
    task: Task
    signature: Signature

    def outputs(self, rows: Sequence[Row]) -> Outputs:
        """The outputs of the pipeline for n observations: probabilities of shape (n, n_classes) in the order of
        `task.classes`, or predicted values of shape (n, 1). They are computed in one thread and ignore `n_jobs`.
        Raises every error of the pipeline."""
        return self.outputs_of(build_input(self.signature, rows))

    def outputs_by_column(self, columns: Columns) -> Outputs:
        """The same outputs for n observations as the n values of each column of the signature."""
        return self.outputs_of(build_input_by_column(self.signature, columns))

    def outputs_of(self, X: Any) -> Outputs:
        """The outputs for input in the form that the pipeline was fitted on."""
        with joblib.parallel_config(backend="sequential"):
            if self.task.kind == "regression":
                return np.asarray(self.pipeline.predict(X), dtype=np.float64).reshape(-1, 1)
            return np.asarray(self.pipeline.predict_proba(X), dtype=np.float64)

    def class_indices(self, rows: Sequence[Row]) -> Indices:
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


def training_outputs(model: Model, X: Any, rows: int) -> Outputs:
    """The outputs of a model for its n training `rows`. Raises DumpError if it cannot score them, or gives something
    else than n finite values, or n rows of probabilities."""
    try:
        outputs = model.outputs_of(X)
    except Exception as error:
        raise DumpError(
            f"The pipeline cannot score X_train ({one_line(error)}); pass the rows of fit in the same form."
        ) from error
    if not np.isfinite(outputs).all():
        raise DumpError("The pipeline predicts NaN or infinity for training rows; JSON cannot carry that.")
    if model.task.kind == "regression":
        if len(outputs) != rows:
            raise DumpError(f"The regressor predicts several values for a row; {one_per_output(model.pipeline)}.")
        return outputs
    if outputs.shape != (rows, len(model.task.classes)) or abs(outputs - 0.5).max() > 0.5 + _ROUNDING:
        raise DumpError(
            f"predict_proba must give {len(model.task.classes)} probabilities from 0 to 1 for each row; it gives "
            f"shape {outputs.shape}, from {outputs.min()} to {outputs.max()}."
        )
    return outputs
