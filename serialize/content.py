"""The files of an artifact as bytes, checked but not unpickled, so that no code of the artifact has run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serialize.folder import read_manifest, read_signature, read_verified, write_signature
from serialize.manifest import Manifest
from serialize.trust import Trust, signature


@dataclass(frozen=True, slots=True)
class Content:
    """The manifest, the content of each file that it lists, as `digest` the sha256 of the manifest in hex, and whether
    the folder holds a signature."""

    manifest: Manifest
    files: Mapping[str, bytes]
    digest: str
    has_signature: bool

    @property
    def version(self) -> str:
        """The model version: the first 12 hex digits of the digest."""
        return self.digest[:12]


def read_content(directory: str | Path, trust: Trust | None = None) -> Content:
    """Reads each file once and checks it: the manifest against `trust`, the others against the manifest. Raises
    ArtifactError."""
    folder = Path(directory)
    content, signed = read_manifest(folder), read_signature(folder)
    if trust is not None:
        trust.require(str(folder), content, signed)
    manifest = Manifest.from_bytes(content)
    files = read_verified(folder, manifest.files)
    return Content(manifest, files, hashlib.sha256(content).hexdigest(), signed is not None)


def sign(directory: str | Path, key: str) -> Content:
    """Signs the manifest of an artifact, and so every file that it lists, with the key. Raises ArtifactError for a
    damaged artifact and for a key that is too short."""
    folder = Path(directory)
    manifest = read_manifest(folder)
    made = signature(manifest, key)
    content = read_content(folder, Trust(digest=hashlib.sha256(manifest).hexdigest()))
    write_signature(folder, made)
    return content
