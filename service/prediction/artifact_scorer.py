"""The scorer of a model that was loaded."""

from serialize.artifact import Artifact
from serialize.compiler.runtime.running import CompiledModel
from serialize.frame import Columns
from serialize.model import Model
from serialize.task import Outputs
from service.prediction.scoring import ColumnOutputsFunction, Scorer

_MANY = 500  # from about this number on, some pipelines answer faster than their compiled form


def answering_model(artifact: Artifact, *, compiled: bool) -> CompiledModel | Model:
    """What scores: the compiled form of a model if there is one and `compiled` is set, else the pipeline."""
    return artifact.compiled if artifact.compiled is not None and compiled else artifact.model


def scorer_of(artifact: Artifact, *, compiled: bool) -> Scorer:
    """The scorer of a model; `compiled` is as above."""
    model = answering_model(artifact, compiled=compiled)
    by_column: ColumnOutputsFunction = model.outputs_by_column
    if model is not artifact.model and artifact.manifest.scoring.get("arrays") == "pipeline":
        by_column = _by_length(by_column, artifact.model.outputs_by_column)
    return Scorer(artifact.manifest.task, model.outputs, artifact.model.class_indices, by_column)


def _by_length(few: ColumnOutputsFunction, many: ColumnOutputsFunction) -> ColumnOutputsFunction:
    """The outputs by column: those of many observations by the form that is faster for them."""

    def outputs(columns: Columns) -> Outputs:
        return (many if len(next(iter(columns.values()))) >= _MANY else few)(columns)

    return outputs
