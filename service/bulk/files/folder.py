"""A folder of files that are written: on a disk or in an object store."""

import os
from dataclasses import dataclass
from pathlib import Path

from serialize.files.formats import format_of
from serialize.files.place_error import PlaceError
from serialize.files.places import STANDARD, is_object, local_path, raised, resolved
from service.bulk.files.output import new_place


def is_folder(place: str) -> bool:
    """Whether an output is a folder: a name with / at its end, or a folder on the disk without the ending of a file."""
    return place.endswith("/") or (place != STANDARD and format_of(place) is None and Path(local_path(place)).is_dir())


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its place, a path or a URL. Each method raises PlaceError."""

    place: str

    @classmethod
    def at(cls, place: str) -> "Folder":
        """The folder at a place, which means the same in another process."""
        return cls(place.rstrip("/") if is_object(place) else os.path.abspath(local_path(place)))

    def file(self, name: str) -> str:
        """The place of a file in the folder."""
        return f"{self.place}/{name}"

    def contains(self, file: str) -> bool:
        """Whether a file is somewhere below the folder."""
        return resolved(file).startswith(f"{resolved(self.place)}/")

    def names(self) -> list[str]:
        """The paths of all files below the folder, relative to it, in order; none if there is no folder."""
        if is_object(self.place):
            from serialize.files.object_store import files_below  # noqa: PLC0415 - obstore must not be used before a fork

            return [file.url.removeprefix(f"{self.place}/") for file in files_below(self.place)]
        try:
            walked = list(os.walk(self.place, onerror=raised)) if os.path.lexists(self.place) else []
        except OSError as error:
            raise PlaceError(f"{self.place} cannot be read: {error.strerror}.") from error
        found = (os.path.join(parent, name) for parent, _, names in walked for name in names)
        return sorted(os.path.relpath(path, self.place) for path in found)

    def read(self, name: str) -> bytes:
        """The content of a small file."""
        if is_object(self.place):
            from serialize.files.object_store import open_to_read  # noqa: PLC0415

            with open_to_read(self.file(name)) as file:
                return file.read()
        try:
            return Path(self.file(name)).read_bytes()
        except OSError as error:
            raise PlaceError(f"{self.file(name)} cannot be read: {error.strerror}.") from error

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file, which appears whole, and replaces an earlier one."""
        self.make(name)
        with new_place(self.file(name), replace=True) as file:
            file.write(content)

    def make(self, name: str) -> None:
        """Makes the folders in which this file is to be."""
        if not is_object(self.place):
            parent = Path(self.file(name)).parent
            try:
                parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise PlaceError(f"{parent} cannot be made: {error.strerror}.") from error

    def remove(self, names: list[str]) -> None:
        """Removes files that may be there."""
        if is_object(self.place):
            from serialize.files.object_store import remove_files  # noqa: PLC0415

            remove_files([self.file(name) for name in names])
            return
        for name in names:
            try:
                Path(self.file(name)).unlink(missing_ok=True)
            except OSError as error:
                raise PlaceError(f"{self.file(name)} cannot be removed: {error.strerror}.") from error
