"""What `dump` measures of a model, as its caller chooses: the metrics and the importance of each column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from serialize.display.progress import Progress
from serialize.errors import DumpError
from serialize.figures import NONE, Figures, given
from serialize.model import Model
from serialize.quality.cross_validation import FOLDS, NotCrossValidated, cross_validate, in_sample
from serialize.quality.evaluation import Vector
from serialize.quality.importances import importances, no_importances, shuffles
from serialize.task import Outputs

_METHODS = ("cross-validation", "in-sample", "none")


@dataclass(frozen=True, slots=True)
class Measurement:
    """Arguments of `dump`. Raises DumpError for `metrics` that are neither a method nor numbers."""

    metrics: Mapping[str, Any] | str | None
    cv: Any
    groups: Any
    cv_seconds: float
    importances: bool

    def __post_init__(self) -> None:
        if isinstance(self.metrics, Mapping):
            given(self.metrics)
        elif self.metrics not in (None, *_METHODS):
            raise DumpError(f"metrics={self.metrics!r} is neither numbers by name nor one of {', '.join(_METHODS)}.")

    def refuse_without_targets(self) -> None:
        """Raises DumpError for an argument that has no effect without targets."""
        asked = {
            "cv": self.cv is not None,
            "groups": self.groups is not None,
            f"metrics={self.metrics!r}": self.metrics in ("cross-validation", "in-sample"),
        }
        if needing := [argument for argument, is_given in asked.items() if is_given]:
            raise DumpError(f"{needing[0]} needs y_train, which is None; give the targets, or leave it out.")

    def metrics_of(
        self, model: Model, X: Any, y: Any, truth: Vector | None, outputs: Outputs, progress: Progress
    ) -> Figures:
        """The figures of a model that was fitted on X and y; `truth` and `outputs` are those of `score` for these
        rows. Without targets there are only figures that the caller gives."""
        if isinstance(self.metrics, Mapping):
            return given(self.metrics)
        if self.metrics == "none" or truth is None:
            return NONE
        if self.metrics == "in-sample":
            return _in_sample(model, X, truth, outputs)
        progress.stage(
            "Cross-validating, fold", self.cv if isinstance(self.cv, int) else FOLDS if self.cv is None else 0
        )
        try:
            return cross_validate(
                model.pipeline,
                X,
                y,
                cv=self.cv,
                groups=self.groups,
                cv_seconds=self.cv_seconds,
                threshold=model.task.threshold if model.task.ties == "rule" else None,
                positive_class=model.task.positive_class,
                done=progress.advance,
            )
        except NotCrossValidated as error:
            return _in_sample(model, X, truth, outputs, error.reason)

    def importances_of(
        self, model: Model, table: pd.DataFrame, truth: Vector | None, progress: Progress
    ) -> dict[str, Any]:
        """The importance of each column of the training rows, if the caller wants it and there are targets."""
        if not self.importances or truth is None:
            return no_importances(model.task)
        progress.stage(
            "Computing the importance of the columns, step", len(table.columns) * shuffles(len(table.columns))
        )
        return importances(model, table, truth, done=progress.advance)


def _in_sample(model: Model, X: Any, truth: Vector, outputs: Outputs, reason: str | None = None) -> Figures:
    predicted = None if model.task.kind == "regression" else model.class_indices_of(X)
    return in_sample(model.task, truth, outputs, predicted, reason)
