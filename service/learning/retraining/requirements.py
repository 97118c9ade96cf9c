"""What a retraining needs of the registry and of the champion. Each error is one sentence that says what to do."""

from collections.abc import Iterable

from serialize.artifact import Artifact
from serialize.errors import ArtifactError
from serialize.signature import Signature
from serialize.training.data import TrainingData
from serialize.training.refusal import refusal as refusal_of
from service.errors import CannotLearn
from service.learning.preconditions import refusal
from service.registry.registry import Registry
from service.registry.release import OFF


def require_registry(registry: Registry | None) -> Registry:
    """The registry, if it has a champion that can be replaced. Raises CannotLearn."""
    reason = refusal(registry)
    if registry is None or reason is not None:
        raise CannotLearn(reason or OFF)
    return registry


def require_training_data(artifact: Artifact) -> TrainingData:
    """The training data of an artifact whose pipeline can be fitted again. Raises CannotLearn."""
    reason = refusal_of(artifact.pipeline)
    if reason is not None:
        raise CannotLearn(reason)
    try:
        return artifact.training_data()
    except ArtifactError as error:
        raise CannotLearn(str(error)) from error


def require_columns(signature: Signature, columns: Iterable[str]) -> None:
    """Raises CannotLearn for a column that the model does not have."""
    for name in columns:
        if name not in signature.names:
            raise CannotLearn(f"The model has no column {name!r}; use one of {', '.join(signature.names)}.")
