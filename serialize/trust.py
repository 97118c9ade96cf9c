"""Checks that an artifact is trusted. The digests in its folder only detect damage, because anyone who can change a
file there can change the manifest too. Trust comes from outside the folder: a known digest of the manifest, or the key
that signed it."""

import hashlib
import hmac
from dataclasses import dataclass, field

from serialize.errors import ArtifactError
from serialize.folder import SIGNATURE

LEAST_KEY_CHARACTERS = 32
MODEL_MAX_BYTES = 256 * 1024 * 1024


def signing_keys(text: str) -> tuple[str, ...]:
    """The keys of MODEL_SIGNING_KEY, separated by commas: the first signs, and all verify. Raises ArtifactError for a
    key that is too short."""
    keys = tuple(key.strip(" ") for key in text.split(",")) if text else ()
    for key in keys:
        _refuse_short(key)
    return keys


@dataclass(frozen=True, slots=True)
class Trust:
    """The conditions for a manifest: its sha256 in hex is `digest`, if given; it is signed if `must_be_signed`; and a
    signature, if there is one and `keys` are given, is by one of them. From a URL at most `max_bytes` are read in all.
    Raises ArtifactError for a key that is too short, or missing although one is needed."""

    digest: str | None = None
    keys: tuple[str, ...] = field(default=(), repr=False)
    must_be_signed: bool = False
    max_bytes: int = MODEL_MAX_BYTES

    def __post_init__(self) -> None:
        for key in self.keys:
            _refuse_short(key)
        if self.must_be_signed and not self.keys:
            raise ArtifactError("REQUIRE_SIGNED needs MODEL_SIGNING_KEY, the key that the model was signed with.")

    def require_any(self, url: str) -> None:
        """Raises ArtifactError if there is no condition, so that whoever can write to the URL could run code here."""
        if self.digest is None and not self.must_be_signed:
            raise ArtifactError(
                f"{url} is not read without a condition; set MODEL_DIGEST to the sha256 that serialize push prints, or "
                "REQUIRE_SIGNED=1 and MODEL_SIGNING_KEY."
            )

    def require(self, place: str, manifest: bytes, signature: str | None) -> None:
        """Raises ArtifactError unless the manifest with its signature meets the conditions. `place` is where they are,
        for the message."""
        found = hashlib.sha256(manifest).hexdigest()
        if self.digest is not None and found != self.digest.lower():
            raise ArtifactError(
                f"The manifest of {place} has the sha256 {found}, not the one in MODEL_DIGEST; restore the artifact, "
                "or set MODEL_DIGEST to the sha256 that serialize show prints for it."
            )
        if signature is None and self.must_be_signed:
            raise ArtifactError(
                f"{place} is not signed: it holds no {SIGNATURE}; sign its folder with python -m serialize sign."
            )
        if signature is not None and self.keys and not is_signature(signature, manifest, self.keys):
            raise ArtifactError(
                f"{place}/{SIGNATURE} is not the signature of its manifest by MODEL_SIGNING_KEY; restore the artifact "
                "or, if you trust it, sign it again."
            )


def signature(manifest: bytes, key: str) -> str:
    """The HMAC-SHA256 (RFC 2104) of a manifest's content, in hex. Raises ArtifactError for a key that is too short."""
    _refuse_short(key)
    return hmac.new(key.encode("utf-8", "surrogateescape"), manifest, hashlib.sha256).hexdigest()


def is_signature(found: str, manifest: bytes, keys: tuple[str, ...]) -> bool:
    """Whether it is the signature of the manifest by one of the keys."""
    return any(hmac.compare_digest(signature(manifest, key).encode(), found.encode()) for key in keys)


def _refuse_short(key: str) -> None:
    if len(key) < LEAST_KEY_CHARACTERS:
        raise ArtifactError(
            f"MODEL_SIGNING_KEY has {len(key)} characters; give {LEAST_KEY_CHARACTERS} or more, such as the output of "
            "`openssl rand -hex 32`."
        )
