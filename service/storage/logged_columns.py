"""A block of rows of the log by column. The JSON texts of a column are in one text, which is decoded in one call."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple, Self

from service.storage.logged_row import LoggedRow

RECORD = "\x1e"  # no JSON holds it, in or between its tokens
REALS = ("proba", "predicted_value", "threshold", "true_value")
PACKED = tuple(name for name in LoggedRow._fields if name not in REALS)


class LoggedColumns(NamedTuple):
    """The n matching rows of a block: by name the texts of each column, packed into one, and the numbers of the columns
    of real numbers; and the key at the end of the block, None at the end of the log."""

    packed: Mapping[str, str]
    reals: Mapping[str, Sequence[float | None]]
    end: int | None

    @classmethod
    def of(cls, packed: Sequence[str | None], reals: Sequence[Sequence[float | None]], end: int | None) -> Self:
        """The block of these columns in the order of `PACKED` and `REALS`; a text is None without rows."""
        texts = {name: text or "" for name, text in zip(PACKED, packed, strict=True)}
        return cls(texts, dict(zip(REALS, reals, strict=True)), end)

    def ids(self) -> list[int]:
        """The keys of the n rows."""
        return list(map(int, self.texts("id")))

    def texts(self, name: str) -> list[str]:
        """The n JSON texts of a column of `PACKED`."""
        packed = self.packed[name]
        return packed.split(RECORD) if packed else []

    def as_array(self, name: str) -> str:
        """A column of `PACKED` as a JSON array of n values."""
        return f"[{self.packed[name].replace(RECORD, ',')}]"

    def only(self, held: Iterable[bool]) -> Self:
        """The block with the rows that are true in `held`."""
        chosen = list(held)
        if all(chosen):
            return self
        packed = {name: RECORD.join(compress(self.texts(name), chosen)) for name in self.packed}
        reals = {name: list(compress(numbers, chosen)) for name, numbers in self.reals.items()}
        return self._replace(packed=packed, reals=reals)
