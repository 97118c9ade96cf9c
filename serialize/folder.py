"""The folder of an artifact on disk. Only the files that the manifest lists are read; the folder is replaced as a
whole, and never replaces files that are not an artifact."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from serialize.errors import ArtifactError, DumpError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.hmac"
PIPELINE = "pipeline.joblib"
COMPILED = "pipeline.npz"
OLDER_COMPILED = "pipeline.onnx"
TRAINING = "training.json.gz"
_OLDER_TRAINING = "training.parquet"

_File = TypeVar("_File")


def read_manifest(folder: Path) -> bytes:
    """The content of the manifest. Raises ArtifactError if there is none."""
    content = read_file(folder / MANIFEST)
    if content is None:
        raise ArtifactError(f"{folder} holds no {MANIFEST}; dump a model there or name another folder in ARTIFACTS.")
    return content


def read_signature(folder: Path) -> str | None:
    """The signature of the manifest, or None if there is none."""
    content = read_file(folder / SIGNATURE)
    return None if content is None else content.decode("ascii", "replace").strip()


def write_signature(folder: Path, signature: str) -> None:
    """Writes the signature file and replaces an earlier one. Raises ArtifactError if it cannot be written."""
    try:
        (folder / SIGNATURE).unlink(missing_ok=True)
        (folder / SIGNATURE).write_text(signature + "\n")
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror}); let this user write there.") from error


def require_own_names(listed: Mapping[str, str]) -> None:
    """Raises ArtifactError unless each file that a manifest lists, with its sha256, has a name inside the artifact, and
    the pipeline is among them."""
    odd = [name for name in listed if Path(name).name != name or name in ("", "..", MANIFEST, SIGNATURE)]
    if odd:
        raise ArtifactError(f"manifest.json lists {odd[0]!r}, which is not a file of its own folder; dump it again.")
    if PIPELINE not in listed:
        raise ArtifactError(f"manifest.json lists no {PIPELINE}; dump the model again.")


def training_file(files: Mapping[str, _File]) -> _File | None:
    """The file of the training data among the files of an artifact; None if it keeps none."""
    return files.get(TRAINING, files.get(_OLDER_TRAINING))


def refuse_other_files(folder: Path, listed: Mapping[str, str]) -> None:
    """Raises ArtifactError for a file in the folder that its manifest does not list."""
    extra = sorted(_names(folder) - {MANIFEST, SIGNATURE, *listed})
    if extra:
        raise ArtifactError(f"{folder} holds {extra[0]!r}, which its manifest does not list; remove it.")


def verified(place: str, content: bytes | None, digest: str) -> bytes:
    """The content of a file of an artifact. Raises ArtifactError if it is missing or its sha256 is another."""
    if content is None:
        raise ArtifactError(f"{place} is missing; restore the artifact or dump the model again.")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(f"{place} is not the file that its manifest lists; restore it or dump the model again.")
    return content


def read_file(path: Path) -> bytes | None:
    """The content of a regular file of the folder, None if there is none. Raises ArtifactError for a symbolic link."""
    try:
        if path.is_symlink():
            raise ArtifactError(
                f"{path} is a symbolic link, which may point anywhere; replace it with the file itself."
            )
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise _unreadable(path, error) from error


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


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside the target. It replaces the target if the block ends without an error, and is removed
    otherwise. Raises DumpError if it cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            folder = Path(scratch) / "new"
            folder.mkdir()
            yield folder
            put_in_place(folder, target, Path(scratch) / "old")
    except OSError as error:
        raise DumpError(f"{target} cannot be written ({error.strerror}); name a folder that can.") from error


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
    return {MANIFEST, SIGNATURE, PIPELINE, COMPILED, OLDER_COMPILED, TRAINING, _OLDER_TRAINING, *listed}


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"{path} cannot be read ({error.strerror}); let this user read it.")
