"""One file of answers: it appears whole or not at all."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import unquote

import pyarrow as pa

from serialize.store.address import is_url
from service.bulk.formats import KNOWN, FileFormat, format_of
from service.bulk.place_error import PlaceError
from service.bulk.places import STANDARD
from service.bulk.table_writers import TableWriter, table_writer
from service.export.atomic_file import new_file


def format_of_output(place: str, standard: FileFormat | None) -> FileFormat:
    """The format of an output. Raises PlaceError if its ending does not say it."""
    found = standard or FileFormat("ndjson") if place == STANDARD else format_of(place)
    if found is None:
        raise PlaceError(f"{place} has none of the endings {KNOWN}.")
    return found


@contextmanager
def new_place(place: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """A new file at a place, which gets its name when the block ends without an error. Raises PlaceError."""
    if place == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with _opened(place, replace=replace) as file:
            yield file
    except FileExistsError as error:
        raise PlaceError(f"{place} exists; give another name, or use --force to replace it.") from error
    except OSError as error:
        raise PlaceError(f"{place} cannot be written: {error.strerror or error}.") from error


def _opened(place: str, *, replace: bool) -> AbstractContextManager[IO[bytes]]:
    if is_url(place) and not place.startswith("file:"):
        from service.bulk.object_store import open_to_write  # noqa: PLC0415 - obstore must not be used before a fork

        return open_to_write(place, replace=replace)
    return new_file(Path(unquote(place.removeprefix("file://")) if is_url(place) else place), replace=replace)


class Output(AbstractContextManager["Output"]):
    """Writes tables of answers to a place. The first table gives the schema."""

    def __init__(self, place: str, wanted: FileFormat, *, replace: bool) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_place(place, replace=replace))
        self._format = wanted
        self._writer: TableWriter | None = None
        self._schema: pa.Schema | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no table was written."""
        return self._writer is None

    def write(self, table: pa.Table) -> None:
        """Writes the rows of a table. Raises PlaceError if its columns are not those of the first one."""
        if self._writer is None:
            self._schema = table.schema
            self._writer = self._stack.enter_context(table_writer(self._file, table.schema, self._format))
        try:
            self._writer.write_table(table if self._format.name == "ndjson" else table.cast(self._schema))
        except (pa.ArrowInvalid, ValueError) as error:
            raise PlaceError(
                f"The files have different columns to keep, or different kinds of ids ({error})."
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def __enter__(self) -> Self:
        return self
