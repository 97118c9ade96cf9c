"""The URL of an artifact: which ones are accepted, and how a message names them. A URL with a secret is refused, so an
accepted one can be shown anywhere."""

from urllib.parse import SplitResult, urlsplit

from serialize.errors import ArtifactError

SCHEMES = ("s3", "gs", "az", "https", "file")


def is_url(place: object) -> bool:
    """Whether it is a URL and no folder."""
    return isinstance(place, str) and "://" in place


def checked_url(url: str) -> str:
    """The URL of a folder, without a slash at its end. Raises ArtifactError, without any secret of the URL."""
    parts = _split(url)
    if parts is None:
        raise ArtifactError("The URL of the artifact cannot be read; give one like s3://bucket/folder.")
    shown = _shown(parts)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ArtifactError(f"{shown} is not a URL of a kind that can be read; use one of {known}.")
    if "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable():
        raise ArtifactError(
            f"The URL {shown} may hold only a host or a bucket and a path; put credentials into the environment."
        )
    if not _is_folder(parts):
        example = "file:///folder" if parts.scheme == "file" else f"{parts.scheme}://{_host(parts.scheme)}/folder"
        raise ArtifactError(f"{shown} is not the URL of a folder; give one like {example}.")
    return shown


def _is_folder(parts: SplitResult) -> bool:
    """Whether there is a host or bucket, or for a file a path, and no part of the path leads elsewhere."""
    path = parts.path.rstrip("/").removeprefix("/")
    if path and {"", ".", ".."} & set(path.split("/")):
        return False
    return (bool(path) and not parts.netloc) if parts.scheme == "file" else bool(parts.netloc)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme else None


def _shown(parts: SplitResult) -> str:
    """The URL without a user, a password, a query and a fragment."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _host(scheme: str) -> str:
    return {"https": "host", "az": "container"}.get(scheme, "bucket")
