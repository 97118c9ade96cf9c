"""Rows of a table, as the readers of files give them."""

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from serialize.files.place_error import PlaceError
from service.errors import Fault


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file is read."""

    separator: str = ","
    encoding: str = "utf-8"


class Rows(NamedTuple):
    """n rows of a file, their numbers in it, of shape (n,), and the faults of rows between them that could not be
    taken apart, by their number."""

    batch: pa.RecordBatch
    numbers: "np.ndarray[Any, np.dtype[np.int64]]"
    faults: Mapping[int, Sequence[Fault]]


def require_different(names: Sequence[str]) -> None:
    """Raises PlaceError if two columns have one name."""
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise PlaceError(f"two columns are called {twice!r}; rename one of them")


@contextmanager
def readable(file: str, encoding: str = "UTF-8") -> Iterator[None]:
    """Turns the errors of a file into PlaceError, one sentence with its name; `encoding` is what it should be."""
    try:
        yield
    except UnicodeError as error:
        raise PlaceError(f"{file} cannot be read: it is not {encoding}.") from error
    except PlaceError as error:
        if str(error).startswith(file):
            raise
        raise PlaceError(f"{file} cannot be read: {error}.") from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise PlaceError(f"{file} cannot be read: {why or type(error).__name__}.") from error
