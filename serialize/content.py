"""What an artifact's folder holds, checked and still in bytes: nothing of it has been unpickled, so nothing has run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serialize.folder import read_manifest, read_signature, read_verified, write_signature
from serialize.manifest import Manifest
from serialize.trust import Trust, signature


@dataclass(frozen=True, slots=True)
class Content:
    """The manifest, the contents of the files that it lists by name, the sha256 of the manifest, in hex, as `digest`,
    and whether a signature lies beside it."""

    manifest: Manifest
    files: Mapping[str, bytes]
    digest: str
    has_signature: bool

    @property
    def version(self) -> str:
        """The model version: the first 12 hex digits of the digest."""
        return self.digest[:12]


def read_content(directory: str | Path, trust: Trust | None = None) -> Content:
    """Reads each file once and checks it: the manifest against what is trusted, the others against the manifest.
    Raises ArtifactError."""
    folder = Path(directory)
    content = read_manifest(folder)
    if trust is not None:
        trust.require(folder, content)
    manifest = Manifest.from_bytes(content)
    files = read_verified(folder, manifest.files)
    return Content(manifest, files, hashlib.sha256(content).hexdigest(), read_signature(folder) is not None)


def sign(directory: str | Path, key: str) -> Content:
    """Signs the manifest of an artifact with the key, and with it all that it lists. Raises ArtifactError for a folder
    that is no sound artifact and for a key that is too short."""
    folder = Path(directory)
    manifest = read_manifest(folder)
    made = signature(manifest, key)
    content = read_content(folder, Trust(digest=hashlib.sha256(manifest).hexdigest()))
    write_signature(folder, made)
    return content
