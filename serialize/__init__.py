"""A fitted scikit-learn pipeline to an artifact and back. Offline: knows neither HTTP nor database."""

from serialize.artifact import Artifact, dump, load
from serialize.errors import ArtifactError, DumpError

__all__ = ["Artifact", "ArtifactError", "DumpError", "dump", "load"]
