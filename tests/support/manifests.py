"""Tampers with artifacts the way an attacker who knows the manifest format would."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serialize.manifest import _seal


class Malice:
    """Unpickling this object creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The content of a manifest.json with a correct sha256."""
    return json.dumps({**manifest, "sha256": _seal(manifest)}).encode()


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the manifest of an artifact and updates its sha256."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    (folder / "manifest.json").write_bytes(sealed(manifest))
