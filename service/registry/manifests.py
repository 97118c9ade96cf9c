"""The manifests of registered models for reports on older versions."""

from collections.abc import Callable
from functools import lru_cache

from serialize.errors import ArtifactError
from serialize.manifest import Manifest
from service.errors import UnknownModel
from service.registry.registry import Registry

ManifestOf = Callable[[str], Manifest | None]

_KEPT = 8


def manifests_of(registry: Registry | None) -> ManifestOf:
    """A function that gives the manifest of a version, also of one whose files were removed: None if there is no such
    model, or its manifest is not signed by one of the keys. It keeps a few in memory, because they never change. It
    raises Unavailable if the database cannot be read now."""
    if registry is None:
        return lambda _: None
    read = lru_cache(_KEPT)(registry.manifest)

    def manifest_of(version: str) -> Manifest | None:
        try:
            return read(version)
        except (UnknownModel, ArtifactError):
            return None

    return manifest_of
