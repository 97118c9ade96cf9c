"""The folder of an artifact on disk. Only the files that the manifest lists are read; the folder is replaced as a
whole, and never replaces files that are not an artifact."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from serialize.errors import ArtifactError, DumpError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.hmac"
PIPELINE = "pipeline.joblib"
COMPILED = "pipeline.onnx"


def read_manifest(folder: Path) -> bytes:
    """The content of the manifest. Raises ArtifactError if there is none."""
    content = _content(folder / MANIFEST)
    if content is None:
        raise ArtifactError(f"{folder} holds no {MANIFEST}; dump a model there or name another folder in ARTIFACTS.")
    return content


def read_signature(folder: Path) -> str | None:
    """The signature of the manifest, or None if there is none."""
    content = _content(folder / SIGNATURE)
    return None if content is None else content.decode("ascii", "replace").strip()


def write_signature(folder: Path, signature: str) -> None:
    """Writes the signature file and replaces an earlier one. Raises ArtifactError if it cannot be written."""
    try:
        (folder / SIGNATURE).unlink(missing_ok=True)
        (folder / SIGNATURE).write_text(signature + "\n")
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror}); let this user write there.") from error


def read_verified(folder: Path, listed: Mapping[str, str]) -> dict[str, bytes]:
    """The contents of the files that a manifest lists with their sha256. Raises ArtifactError for a file that is
    missing, not listed, outside the folder, or different from its digest."""
    _refuse_other_files(folder, listed)
    return {name: _verified(folder / name, digest) for name, digest in listed.items()}


def refuse_foreign_files(target: Path) -> None:
    """Raises DumpError if `target`, an absolute path, is a file, a folder that cannot be written, or one that holds
    anything but an artifact."""
    if target.exists() and not target.is_dir():
        raise DumpError(f"{target} is a file; name a folder for the artifact.")
    held = {path.name for path in target.iterdir()} if target.is_dir() else set()
    foreign = held - _files_of_artifact(target) if {MANIFEST, PIPELINE} <= held else held
    parent = next(folder for folder in target.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise DumpError(f"{target} cannot be written (in {parent}); name a folder that can.")
    if foreign:
        raise DumpError(f"{target} holds other files ({min(foreign)}); name an empty folder or one with an artifact.")


def put_in_place(folder: Path, target: Path, old: Path) -> None:
    """Renames the new folder to the target. The former target is kept as `old` and restored if that fails."""
    if not target.exists():
        folder.rename(target)
        return
    target.rename(old)
    try:
        folder.rename(target)
    except BaseException:
        old.rename(target)
        raise


def _files_of_artifact(folder: Path) -> set[str]:
    """The file names of an earlier artifact, which may be damaged or in another format."""
    try:
        listed = set(json.loads((folder / MANIFEST).read_bytes())["files"])
    except (KeyError, TypeError, ValueError):
        listed = set()
    return {MANIFEST, SIGNATURE, PIPELINE, COMPILED, *listed}


def _refuse_other_files(folder: Path, listed: Mapping[str, str]) -> None:
    odd = [name for name in listed if Path(name).name != name or name in ("", "..", MANIFEST, SIGNATURE)]
    if odd:
        raise ArtifactError(f"manifest.json lists {odd[0]!r}, which is not a file of its own folder; dump it again.")
    if PIPELINE not in listed:
        raise ArtifactError(f"manifest.json lists no {PIPELINE}; dump the model again.")
    extra = sorted(_names(folder) - {MANIFEST, SIGNATURE, *listed})
    if extra:
        raise ArtifactError(f"{folder} holds {extra[0]!r}, which its manifest does not list; remove it.")


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError as error:
        raise _unreadable(folder, error) from error


def _verified(path: Path, digest: str) -> bytes:
    content = _content(path)
    if content is None:
        raise ArtifactError(f"{path} is missing; restore the artifact or dump the model again.")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(f"{path} is not the file that its manifest lists; restore it or dump the model again.")
    return content


def _content(path: Path) -> bytes | None:
    """The content of a regular file of the folder, None if there is none. Raises ArtifactError for a symbolic link."""
    try:
        if path.is_symlink():
            raise ArtifactError(
                f"{path} is a symbolic link, which may point anywhere; replace it with the file itself."
            )
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"{path} cannot be read ({error.strerror}); let this user read it.")
