"""The files of an artifact as bytes, checked but not unpickled, so that no code of the artifact has run."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serialize.errors import StoreError
from serialize.folder import (
    MANIFEST,
    SIGNATURE,
    new_folder,
    read_file,
    read_manifest,
    read_signature,
    refuse_foreign_files,
    refuse_other_files,
    require_own_names,
    verified,
    write_signature,
)
from serialize.manifest import Manifest
from serialize.store.address import checked_url, is_url
from serialize.store.cache import Cache
from serialize.store.client import read_files, write_files
from serialize.trust import Trust, signature


@dataclass(frozen=True, slots=True)
class Content:
    """The manifest, `encoded` as the bytes of its file, the content of each file that it lists, as `digest` the sha256
    of the manifest in hex, and the signature, if there is one."""

    manifest: Manifest
    encoded: bytes
    files: Mapping[str, bytes]
    digest: str
    signature: str | None

    @property
    def version(self) -> str:
        """The model version: the first 12 hex digits of the digest."""
        return self.digest[:12]


def read_content(place: str | Path, trust: Trust | None = None) -> Content:
    """Reads each file of a folder or a URL once and checks it: the manifest against `trust`, the others against the
    manifest. Raises ArtifactError, also for a file in a folder that the manifest does not list."""
    if is_url(place):
        return _read_url(checked_url(str(place)), trust or Trust())
    folder = Path(place)
    encoded, signed = read_manifest(folder), read_signature(folder)
    content = checked_content(str(folder), encoded, signed, lambda name: read_file(folder / name), trust)
    refuse_other_files(folder, content.manifest.files)
    return content


def checked_content(
    place: str, encoded: bytes, signed: str | None, read: Callable[[str], bytes | None], trust: Trust | None = None
) -> Content:
    """The content of an artifact that is anywhere: `encoded` is its manifest, `signed` the signature, and `read` gives
    a file by its name, or None if it is missing. `place` is where they are, for messages. Raises ArtifactError."""
    (trust or Trust()).require(place, encoded, signed)
    manifest = Manifest.from_bytes(encoded)
    require_own_names(manifest.files)
    files = {name: verified(f"{place}/{name}", read(name), digest) for name, digest in manifest.files.items()}
    return Content(manifest, encoded, files, hashlib.sha256(encoded).hexdigest(), signed)


def _read_url(url: str, trust: Trust) -> Content:
    """The files that the manifest does not list are not even asked for."""
    trust.require_any(url)
    found = read_files(url, [MANIFEST], trust.max_bytes, optional=[SIGNATURE])
    encoded, signed = found[MANIFEST], found[SIGNATURE]
    if encoded is None:
        raise StoreError(f"{url} holds no {MANIFEST}; push a model there or name another place in ARTIFACTS.")
    return content_of_url(
        url, url, encoded, None if signed is None else signed.decode("ascii", "replace").strip(), trust
    )


def content_of_url(place: str, url: str, encoded: bytes, signed: str | None, trust: Trust) -> Content:
    """The content of an artifact whose manifest is known already and whose files are at a URL. Like `checked_content`;
    the bytes that `trust` allows include the manifest. Raises ArtifactError."""
    cache, left = Cache.of_user(), trust.max_bytes - len(encoded)

    def read(name: str) -> bytes | None:
        nonlocal left
        content = cache.get(Manifest.from_bytes(encoded).files[name])
        if content is None:
            content = read_files(url, [name], left)[name]
        left -= len(content or b"")
        return content

    content = checked_content(place, encoded, signed, read, trust)
    for file in content.files.values():
        cache.put(file)
    cache.keep_only(content.manifest.files.values())
    return content


def push_content(content: Content, url: str) -> None:
    """Writes an artifact to a URL, the manifest last, so that no reader finds a manifest without its files. Raises
    ArtifactError."""
    signed = None if content.signature is None else content.signature.encode() + b"\n"
    write_files(checked_url(url), {**content.files, SIGNATURE: signed, MANIFEST: content.encoded})


def write_content(content: Content, directory: Path) -> None:
    """Writes an artifact to a folder, which it replaces as a whole. Raises DumpError."""
    target = directory.resolve()
    refuse_foreign_files(target)
    with new_folder(target) as folder:
        for name, file in {**content.files, MANIFEST: content.encoded}.items():
            (folder / name).write_bytes(file)
        if content.signature is not None:
            write_signature(folder, content.signature)


def sign(directory: str | Path, key: str) -> Content:
    """Signs the manifest of an artifact, and so every file that it lists, with the key. Raises ArtifactError for a
    damaged artifact and for a key that is too short."""
    folder = Path(directory)
    manifest = read_manifest(folder)
    made = signature(manifest, key)
    content = read_content(folder, Trust(digest=hashlib.sha256(manifest).hexdigest()))
    write_signature(folder, made)
    return content
