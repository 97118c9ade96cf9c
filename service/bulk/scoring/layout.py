"""What the columns of a table are for."""

from collections.abc import Sequence
from dataclasses import dataclass


class LayoutError(ValueError):
    """The names of the columns do not fit; the message says which."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a table are for: the id, and those that are kept in the output. All columns but these are
    columns of the observation; one of the model's columns may be the id or kept too."""

    id: str | None = None
    kept: tuple[str, ...] = ()

    def require_in(self, names: Sequence[str]) -> None:
        """Raises LayoutError unless the table has the columns."""
        for option, name in (("--id", self.id), *(("--keep", name) for name in self.kept)):
            if name is not None:
                require_column(option, name, names)


def require_column(option: str, name: str, names: Sequence[str]) -> None:
    """Raises LayoutError unless a table with these names has the column that an option asks for."""
    if name not in names:
        raise LayoutError(f"{option} {name}: the input has no such column; its columns are {', '.join(names)}.")
