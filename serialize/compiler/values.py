"""What stands between two steps while a program is built."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from serialize.compiler.runtime.native import Link, selected
from serialize.signature import Column, Container

Array = np.ndarray[Any, Any]


class NoRule(Exception):
    """A candidate does not fit a step; the message says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """A register with a block of shape (n, width)."""

    register: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A register with codes of shape (n,), and what each code stands for: a table of shape (m, width)."""

    register: int
    table: Array

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.table.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A register with the terms of texts, of which there are `known`, and the places of those that are columns here."""

    register: int
    places: Array
    known: int

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.places)

    @property
    def is_whole(self) -> bool:
        """Whether all known terms are columns, in their order."""
        return np.array_equal(self.places, np.arange(self.known))


Part = Block | Coded | Terms


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Numbers as parts side by side. `reference` is what the pipeline itself has here for the trial rows."""

    parts: tuple[Part, ...]
    reference: Any

    @property
    def width(self) -> int:
        """The number of columns."""
        return sum(part.width for part in self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Columns of the observation after steps that give no numbers yet, in the container that the first of them gets."""

    container: Container
    columns: tuple[Column, ...]
    links: tuple[Link, ...]
    reference: Any

    def chosen(self, places: Sequence[int] | int) -> "Raw":
        """The columns with these indices; with one index, a column of shape (n,)."""
        reference = selected(self.reference, places)
        if self.links:
            return replace(self, links=(*self.links, {"select": places}), reference=reference)
        if isinstance(places, int):
            container: Container = "series" if self.container == "frame" else "vector"
            return Raw(container, (self.columns[places],), (), reference)
        return Raw(self.container, tuple(self.columns[place] for place in places), (), reference)


Value = Parts | Raw
