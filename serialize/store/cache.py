"""The files that were read last from a URL, by their sha256, in a private folder among the temporary files. The cache
only saves time: what it lacks, or what was changed there, is read from the URL again."""

import hashlib
import os
import re
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_DIGEST = re.compile("[0-9a-f]{64}")


class Cache:
    """A folder of files whose names are their sha256. Without a folder it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> "Cache":
        """The cache of this user. It keeps nothing if the folder cannot be made, or if it is another user's."""
        folder = Path(tempfile.gettempdir()) / f"prediction-service-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError:
            return cls(None)
        private = found.st_uid == os.getuid() and found.st_mode & 0o077 == 0 and not folder.is_symlink()
        return cls(folder if private else None)

    def get(self, digest: str) -> bytes | None:
        """The content with this sha256, or None."""
        if self._folder is None or not _DIGEST.fullmatch(digest):
            return None
        try:
            content = (self._folder / digest).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def put(self, content: bytes) -> None:
        """Keeps a content, if there is space for it."""
        if self._folder is None:
            return
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.replace(name, self._folder / hashlib.sha256(content).hexdigest())
            except BaseException:
                os.unlink(name)
                raise

    def keep_only(self, digests: Collection[str]) -> None:
        """Removes all files but those with these sha256, so that the cache holds one model."""
        if self._folder is None:
            return
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in digests:
                    path.unlink(missing_ok=True)
