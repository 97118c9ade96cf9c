"""Writes a fitted scikit-learn pipeline as an artifact and reads it back. This side runs offline: it does not know HTTP
or the database."""

from serialize.artifact import Artifact, load
from serialize.dumping import dump
from serialize.errors import ArtifactError, DumpError
from serialize.quality.cross_validation import cross_validate

__all__ = ["Artifact", "ArtifactError", "DumpError", "cross_validate", "dump", "load"]
