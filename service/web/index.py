"""What GET / answers: which service and which model this is, and the URLs to go on with.

It needs no key, so it contains only what /openapi.json shows to everyone, too."""

from typing import Any

from serialize.manifest import Manifest
from service import __version__

NAME = "prediction-service"

# The paths by the operationId of /openapi.json. The administration is not for newcomers.
LINKS = {
    "openapi": "/openapi.json",
    "model": "/model",
    "predict": "/predict",
    "update": "/update",
    "performance": "/performance",
    "drift": "/drift",
    "metrics": "/metrics",
    "readyz": "/readyz",
}


def index(manifest: Manifest, version: str) -> dict[str, Any]:
    """The body of GET /. `version` is the model's."""
    model = {"name": manifest.name, "version": version, "task": manifest.task.kind}
    return {"name": NAME, "version": __version__, "model": model, "links": LINKS}
