"""Where the feeds go: the URL of a folder in an object store, or a folder of this machine."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from serialize.errors import ArtifactError
from serialize.files.place_error import PlaceError
from serialize.store.address import checked_url, is_url
from service.storage.feeds.ranges import Range

_SCHEMES = ("s3", "gs", "az", "file")


@dataclass(frozen=True, slots=True)
class Destination:
    """The folder of the feeds: a URL without a slash at its end, or an absolute path. It names the destination in the
    database."""

    url: str

    @classmethod
    def of(cls, place: str) -> "Destination":
        """The destination of a URL or of a path. Raises PlaceError."""
        if not is_url(place):
            return cls(str(Path(place).resolve()))
        try:
            url = checked_url(place)
        except ArtifactError as error:
            raise PlaceError(str(error)) from error
        scheme, _, rest = url.partition("://")
        if scheme not in _SCHEMES:
            known = ", ".join(f"{one}://" for one in _SCHEMES)
            raise PlaceError(f"{url} cannot be the place of the feeds; use {known} or a folder.")
        return cls(str(Path(unquote(rest)).resolve())) if scheme == "file" else cls(url)

    def place_of(self, one: Range) -> str:
        """The place of the object of a range. Its name depends only on the range, so a repeated write replaces it."""
        return f"{self.url}/{one.feed}/day={one.day}/{one.first}-{one.last}.parquet"

    def prepare(self, one: Range) -> None:
        """Makes the folder of an object, if it is a folder of this machine. Raises PlaceError."""
        if is_url(self.url):
            return
        folder = Path(self.place_of(one)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlaceError(f"{folder} cannot be made: {error.strerror}.") from error
