"""Files of an object store, written and read whole."""

from serialize.files.object_store import open_to_read, open_to_write
from serialize.files.place_error import PlaceError


def put(url: str, content: bytes) -> None:
    """Writes a file."""
    with open_to_write(url, replace=True) as file:
        file.write(content)


def get(url: str) -> bytes | None:
    """The content of a file; None if it cannot be read."""
    try:
        with open_to_read(url) as file:
            return file.read()
    except PlaceError:
        return None
