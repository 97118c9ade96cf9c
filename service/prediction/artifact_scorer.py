"""The scorer of a model that was loaded."""

from serialize.artifact import Artifact
from serialize.compiler.runtime import CompiledModel
from serialize.model import Model
from service.prediction.scoring import Scorer


def answering_model(artifact: Artifact, *, compiled: bool) -> CompiledModel | Model:
    """What scores: the compiled form of a model if there is one and `compiled` is set, else the pipeline."""
    return artifact.compiled if artifact.compiled is not None and compiled else artifact.model


def scorer_of(artifact: Artifact, *, compiled: bool) -> Scorer:
    """The scorer of a model; `compiled` is as above."""
    model = answering_model(artifact, compiled=compiled)
    return Scorer(artifact.manifest.task, model.outputs, artifact.model.class_indices, model.outputs_by_column)
