"""Artifacts that were tampered with, by one who knows how a manifest is made."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serialize.manifest import _seal


class Malice:
    """Pickles to a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The content of a manifest.json whose own sha256 is right."""
    return json.dumps({**manifest, "sha256": _seal(manifest)}).encode()


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the manifest of an artifact so that nothing in the folder shows it."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    (folder / "manifest.json").write_bytes(sealed(manifest))
