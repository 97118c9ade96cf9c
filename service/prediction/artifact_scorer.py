"""The scorer of a model that was loaded."""

from serialize.artifact import Artifact
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.frame import Columns
from serialize.model import Model
from serialize.task import Outputs
from service.prediction.scoring import ColumnOutputsFunction, Scorer

_MANY = 500  # from about this number on, some pipelines answer faster than their compiled form


def verify(artifact: Artifact, *, compiled: bool) -> None:
    """Raises ArtifactError unless all that `scorer_of` uses gives the recorded outputs for the golden rows."""
    for form in _answering(artifact, compiled=compiled):
        artifact.verify(form.outputs)


def scorer_of(artifact: Artifact, *, compiled: bool) -> Scorer:
    """The scorer of a model: of its compiled form if there is one and `compiled` is set, else of the pipeline."""
    first, *others = _answering(artifact, compiled=compiled)
    by_column: ColumnOutputsFunction = first.outputs_by_column
    for other in others:
        by_column = _by_length(by_column, other.outputs_by_column)
    return Scorer(artifact.manifest.task, first.outputs, artifact.model.class_indices, by_column)


def _answering(artifact: Artifact, *, compiled: bool) -> list[CompiledModel | Model]:
    """What scores, and after it what scores many observations by column, if that is another form."""
    if artifact.compiled is None or not compiled:
        return [artifact.model]
    many_by_pipeline = artifact.manifest.scoring.get("arrays") == "pipeline"
    return [artifact.compiled, artifact.model] if many_by_pipeline else [artifact.compiled]


def _by_length(few: ColumnOutputsFunction, many: ColumnOutputsFunction) -> ColumnOutputsFunction:
    """The outputs by column: those of many observations by the form that is faster for them."""

    def outputs(columns: Columns) -> Outputs:
        return (many if len(next(iter(columns.values()))) >= _MANY else few)(columns)

    return outputs
