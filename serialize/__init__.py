"""Writes a fitted scikit-learn pipeline as an artifact and reads it back. This side runs offline: it does not know HTTP
or the database."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serialize.artifact import Artifact, load
    from serialize.dumping import dump
    from serialize.errors import ArtifactError, DumpError
    from serialize.quality.cross_validation import cross_validate

__all__ = ["Artifact", "ArtifactError", "DumpError", "cross_validate", "dump", "load"]

_MODULES = {
    "Artifact": "artifact",
    "ArtifactError": "errors",
    "DumpError": "errors",
    "cross_validate": "quality.cross_validation",
    "dump": "dumping",
    "load": "artifact",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: scikit-learn takes a second, and some users of the other modules
    do without it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"serialize.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
