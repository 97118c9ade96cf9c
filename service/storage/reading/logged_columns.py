"""A block of rows of the log by column. A column is one JSON text, which is decoded in one call."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from service.storage.reading.logged_row import LoggedRow

REALS = ("proba", "predicted_value", "threshold", "true_value")
ARRAYS = tuple(name for name in LoggedRow._fields if name not in REALS)


class LoggedColumns(NamedTuple):
    """The n matching rows of a block: by name the columns of `ARRAYS` as JSON arrays of n values, and the n numbers of
    the columns of `REALS`; and the key at the end of the block, None at the end of the log. A time is in ISO 8601 with
    any offset from UTC."""

    arrays: Mapping[str, str]
    reals: Mapping[str, Sequence[float | None]]
    end: int | None

    @classmethod
    def of(cls, arrays: Sequence[str | None], reals: Sequence[Sequence[float | None]], end: int | None) -> Self:
        """The block of these columns in the order of `ARRAYS` and `REALS`; an array is None without rows."""
        texts = {name: text or "[]" for name, text in zip(ARRAYS, arrays, strict=True)}
        return cls(texts, dict(zip(REALS, reals, strict=True)), end)

    @classmethod
    def of_rows(cls, rows: Sequence[LoggedRow], end: int | None) -> Self:
        """The block of these rows."""
        arrays = {name: f"[{','.join(getattr(row, name) for row in rows)}]" for name in ARRAYS}
        reals = {name: [json.loads(getattr(row, name)) for row in rows] for name in REALS}
        return cls(arrays, reals, end)

    def ids(self) -> list[int]:
        """The keys of the n rows."""
        ids: list[int] = json.loads(self.arrays["id"])
        return ids
