"""Checks that an artifact is trusted. The digests in its folder only detect damage, because anyone who can change a
file there can change the manifest too. Trust comes from outside the folder: a known digest of the manifest, or the key
that signed it."""

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from serialize.errors import ArtifactError
from serialize.folder import SIGNATURE, read_signature

LEAST_KEY_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Trust:
    """The conditions for a manifest: its sha256 in hex is `digest`, if given; it is signed if `must_be_signed`; and a
    signature, if there is one and a `key` is given, is by that key. Raises ArtifactError for a key that is too short,
    or missing although it is needed."""

    digest: str | None = None
    key: str | None = field(default=None, repr=False)
    must_be_signed: bool = False

    def __post_init__(self) -> None:
        if self.key is not None:
            _refuse_short(self.key)
        elif self.must_be_signed:
            raise ArtifactError("REQUIRE_SIGNED needs MODEL_SIGNING_KEY, the key that the model was signed with.")

    def require(self, folder: Path, manifest: bytes) -> None:
        """Raises ArtifactError unless the content of the folder's manifest meets the conditions."""
        found = hashlib.sha256(manifest).hexdigest()
        if self.digest is not None and found != self.digest.lower():
            raise ArtifactError(
                f"The manifest of {folder} has the sha256 {found}, not the one in MODEL_DIGEST; restore the artifact, "
                "or set MODEL_DIGEST to the sha256 that serialize show prints for it."
            )
        if self.key is not None:
            self._require_signature(folder, manifest, self.key)

    def _require_signature(self, folder: Path, manifest: bytes, key: str) -> None:
        found = read_signature(folder)
        if found is None:
            if self.must_be_signed:
                raise ArtifactError(
                    f"{folder} is not signed: it holds no {SIGNATURE}; sign it with python -m serialize sign {folder}."
                )
        elif not hmac.compare_digest(signature(manifest, key).encode(), found.encode()):
            raise ArtifactError(
                f"{folder / SIGNATURE} is not the signature of its manifest by MODEL_SIGNING_KEY; restore the artifact "
                "or, if you trust it, sign it again."
            )


def signature(manifest: bytes, key: str) -> str:
    """The HMAC-SHA256 (RFC 2104) of a manifest's content, in hex. Raises ArtifactError for a key that is too short."""
    _refuse_short(key)
    return hmac.new(key.encode("utf-8", "surrogateescape"), manifest, hashlib.sha256).hexdigest()


def _refuse_short(key: str) -> None:
    if len(key) < LEAST_KEY_CHARACTERS:
        raise ArtifactError(
            f"MODEL_SIGNING_KEY has {len(key)} characters; give {LEAST_KEY_CHARACTERS} or more, such as the output of "
            "`openssl rand -hex 32`."
        )
