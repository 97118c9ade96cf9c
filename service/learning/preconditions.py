"""What must hold before a model can be trained again. The web processes ask, so this imports neither scikit-learn nor
pandas."""

from serialize.errors import ArtifactError
from serialize.folder import training_file
from service.errors import UnknownModel
from service.registry.registry import Registry
from service.registry.release import OFF

NO_TRAINING_DATA = "The artifact does not keep its training data; dump the model again with include_training_data=True."


def refusal(registry: Registry | None) -> str | None:
    """Why no model can be trained with this registry, which is None if it is off; None if nothing is known that
    prevents it. Raises Unavailable if the database cannot be used now."""
    if registry is None:
        return OFF
    if registry.digest is not None:
        return "MODEL_DIGEST is set, so no other model may serve; to train one, remove MODEL_DIGEST."
    champion = registry.promotions.champion()
    if champion is None:
        return "The registry has no champion; run `python -m service release` first."
    try:
        files = registry.manifest(champion).files
    except (ArtifactError, UnknownModel):
        return None  # the job says what is wrong with it
    return NO_TRAINING_DATA if training_file(files) is None else None
