"""One file of answers: it appears whole or not at all."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pyarrow as pa

from serialize.files.formats import KNOWN, FileFormat, format_of
from serialize.files.place_error import PlaceError
from serialize.files.places import STANDARD, is_object, local_path
from service.bulk.files.writers import TableWriter, table_writer
from service.export.atomic_file import new_file


def format_of_output(place: str, standard: FileFormat | None) -> FileFormat:
    """The format of an output. Raises PlaceError if its ending does not say it."""
    found = standard or FileFormat("ndjson") if place == STANDARD else format_of(place)
    if found is None:
        raise PlaceError(f"{place} has none of the endings {KNOWN}. The name of a new folder must end with /.")
    return found


@contextmanager
def new_place(place: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """A new file at a place, which gets its name when the block ends without an error. Raises PlaceError."""
    try:
        with _opened(place, replace=replace) as file:
            yield file
    except FileExistsError as error:
        raise PlaceError(f"{place} exists; give another name, or use --force to replace it.") from error
    except BrokenPipeError:  # the reader of standard output has read enough
        raise
    except OSError as error:
        raise PlaceError(f"{place} cannot be written: {error.strerror or error}.") from error


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _opened(place: str, *, replace: bool) -> AbstractContextManager[IO[bytes]]:
    if place == STANDARD:
        return _standard_output()
    if is_object(place):
        from serialize.files.object_store import open_to_write  # noqa: PLC0415 - obstore must not be used before a fork

        return open_to_write(place, replace=replace)
    path = Path(local_path(place))
    if path.is_dir():
        raise PlaceError(f"{place} is a folder; name a file.")
    return new_file(path, replace=replace)


class Output(AbstractContextManager["Output"]):
    """Writes tables of answers to a place. The first table gives the schema, unless one is given."""

    def __init__(self, place: str, wanted: FileFormat, *, replace: bool, schema: pa.Schema | None = None) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_place(place, replace=replace))
        self._format = wanted
        self._writer: TableWriter | None = None
        self.schema = schema

    @property
    def is_empty(self) -> bool:
        """Whether no table was written."""
        return self._writer is None

    def write(self, table: pa.Table) -> None:
        """Writes the rows of a table. Raises PlaceError if its columns do not fit those of the first one."""
        try:
            if self._writer is None:
                self.schema = self.schema or table.schema
                self._writer = self._stack.enter_context(table_writer(self._file, self.schema, self._format))
            fitting = table if self._format.name == "ndjson" else _as(table, self.schema)
            self._writer.write_table(fitting)
        except pa.ArrowException as error:
            why = " ".join(str(error).split()).rstrip(".")
            raise PlaceError(f"The answers cannot be written as {self._format.name}: {why}.") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def __enter__(self) -> Self:
        return self


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with these types, if they change no value. Raises PlaceError."""
    odd = set(schema.names) ^ set(table.schema.names)
    if odd:
        raise PlaceError(f"Only a part of the input gives the output the column {min(odd)}; give all of it the same.")
    for found, wanted in zip(table.schema, schema, strict=True):
        if found.name != wanted.name or not _may_become(found.type, wanted.type):
            raise PlaceError(
                f"The column {found.name} is {found.type} in a later part of the input, and the output has it as "
                f"{wanted.type} from an earlier part; give both one type, or write .ndjson."
            )
    return table.cast(schema)


def _may_become(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a type may become another one without a change of any value."""
    types = pa.types
    numbers = types.is_integer(found) and (types.is_integer(wanted) or types.is_floating(wanted))
    floats = types.is_floating(found) and types.is_floating(wanted)
    return bool(found == wanted or types.is_null(found) or (_is_text(found) and _is_text(wanted)) or numbers or floats)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
