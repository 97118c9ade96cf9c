"""The errors of cells that Python cannot hold, such as a time before the year 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from serialize.files.place_error import PlaceError


@contextmanager
def require_readable(file: str, numbers: "np.ndarray[Any, np.dtype[np.int64]]") -> Iterator[None]:
    """Turns such an error into a PlaceError that names the file, and the first and the last of the rows with these
    numbers, of shape (n,)."""
    try:
        yield
    except (UnicodeError, OverflowError, KeyError, pa.ArrowException) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise PlaceError(
            f"{file} has a value in the rows {numbers[0]} to {numbers[-1]} that cannot be read: {why}."
        ) from error
