"""What must hold before a model can be trained again. The web processes ask, so this imports neither scikit-learn nor
pandas."""

from service.registry.registry import Registry
from service.registry.release import OFF


def refusal(registry: Registry | None) -> str | None:
    """Why no model can be trained with this registry, which is None if it is off; None if one can be. Raises
    Unavailable if the database cannot be used now."""
    if registry is None:
        return OFF
    if registry.digest is not None:
        return "MODEL_DIGEST is set, so no other model may serve; to train one, remove MODEL_DIGEST."
    return None
