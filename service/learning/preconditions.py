"""Why a retraining cannot work here, as one sentence that says what to do."""

from collections.abc import Iterable

from serialize.artifact import Artifact
from serialize.errors import ArtifactError
from serialize.signature import Signature
from serialize.training.data import TrainingData
from service.errors import ServiceError
from service.registry.registry import Registry
from service.registry.release import OFF


class CannotRetrain(ServiceError):
    """A retraining that cannot work as things are."""

    status, slug, title = 422, "cannot-retrain", "Retraining is not possible"


def refusal(registry: Registry | None) -> str | None:
    """Why there is nothing to retrain: the registry is off or read-only, or no model was released."""
    if registry is None:
        return OFF
    if registry.digest is not None:
        return "MODEL_DIGEST is set, so no other model may serve; to retrain, remove MODEL_DIGEST."
    if registry.promotions.champion() is None:
        return "The registry has no champion; run `python -m service release` first."
    return None


def require_registry(registry: Registry | None) -> Registry:
    """The registry. Raises CannotRetrain."""
    reason = refusal(registry)
    if registry is None or reason is not None:
        raise CannotRetrain(reason or OFF)
    return registry


def require_training_data(artifact: Artifact) -> TrainingData:
    """The training data of an artifact whose pipeline can be fitted again. Raises CannotRetrain."""
    from serialize.training.refusal import refusal as refusal_of  # noqa: PLC0415 - imports scikit-learn

    reason = refusal_of(artifact.pipeline)
    if reason is not None:
        raise CannotRetrain(reason)
    try:
        return artifact.training_data()
    except ArtifactError as error:
        raise CannotRetrain(str(error)) from error


def require_columns(signature: Signature, columns: Iterable[str]) -> None:
    """Raises CannotRetrain for a column that the model does not have."""
    for name in columns:
        if name not in signature.names:
            raise CannotRetrain(f"The model has no column {name!r}; use one of {', '.join(signature.names)}.")
