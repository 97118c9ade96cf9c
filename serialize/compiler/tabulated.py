"""Steps of any library of which each output looks at one column are tabulated: they are run once for each value of the
column, for a null and for values that no training row has."""

from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import joblib
import numpy as np

from serialize.checks.edge_rows import texts_like
from serialize.compiler.builder import Builder
from serialize.compiler.held import is_own, mentioned
from serialize.compiler.runtime.native import dense, followed, step_at
from serialize.compiler.values import Array, Block, Coded, NoRule, Part, Parts, Raw
from serialize.frame import Row, build_input_by_column
from serialize.signature import Column, Scalar, Signature

_MOST_CELLS = 20_000_000
_UNSEEN = 8
_LIKE = 12
_MENTIONED = 10_000
_COMBINED, _RARE = 300, 0.3
_SOME = 500
_TEXTS = ("", " ", "nan", "0", "None", "Ünsëen ✓", "never seen", "x" * 300)
_POWERS = tuple(sign * 10.0**power for power in range(2, 19) for sign in (-1, 1))
_NUMBERS = (-1, 0, 1, 7, 1000, -0.5, 0.5, 1e6 + 0.1, *_POWERS)


def tabulated(builder: Builder, value: Raw) -> Parts:
    """The numbers that the links of a value give, by tables. Raises NoRule if an output looks at several columns, or at
    a number in another way than to replace a null, and for code of the user's own on a column of which not every value
    can be tried."""
    _require_known_values(builder, value)
    run = _Run(builder, value)
    owner: dict[int, _Table] = {}
    tables = [_Table(builder, column, run) for column in value.columns]
    for table in tables:
        for place in table.looked_at():
            if place in owner:
                raise NoRule("An output looks at several columns.")
            owner[place] = table
    _require_independence(tables, owner, run)
    return Parts(tuple(_parts(builder, [owner.get(place) for place in range(run.width)], tables)), None)


def _require_known_values(builder: Builder, value: Raw) -> None:
    """Raises NoRule for a column whose values are rounded before the steps get them, and for steps of the user's own
    that may tell apart values that no one has tried."""
    for column in value.columns:
        if column.accepted == "number" and column.dtype.lower().startswith(("float32", "float16")):
            raise NoRule(f"Column {column.name!r} is rounded to single precision.")
    is_closed = len(value.columns) == 1 and value.columns[0].accepted in ("boolean", "category")
    steps = [step_at(builder.model.pipeline, link["path"]) for link in value.links if "path" in link]
    if not is_closed and any(map(is_own, steps)):
        raise NoRule("It is code of the user's own.")


def _require_independence(tables: "Sequence[_Table]", owner: "dict[int, _Table]", run: "_Run") -> None:
    """Raises NoRule if rows that combine the tried values have other outputs than the tables say."""
    if len(tables) == 1:
        return
    random = np.random.default_rng(0)
    drawn = [table.drawn(random, _COMBINED) for table in tables]
    rows = {table.name: [value for value, _ in pairs] for table, pairs in zip(tables, drawn, strict=True)}
    outputs = {table: np.array([one for _, one in pairs]) for table, pairs in zip(tables, drawn, strict=True)}
    for place, found in enumerate(run.combined(rows)):
        if found is None:
            raise NoRule("The steps refuse a combination of values.")
        wanted = np.array([outputs[owner.get(at, tables[0])][place, at] for at in range(run.width)])
        if not _equal(found, wanted).all():
            raise NoRule("An output looks at several columns.")


def _parts(builder: Builder, owners: "Sequence[_Table | None]", tables: "Sequence[_Table]") -> list[Part]:
    found: list[Part] = []
    start = 0
    known = [owner if owner is not None else tables[0] for owner in owners]
    while start < len(known):
        stop = start + 1
        while stop < len(known) and known[stop] is known[start]:
            stop += 1
        found += known[start].parts(builder, list(range(start, stop)))
        start = stop
    return found


class _Run:
    """Runs the links of a value for observations that differ from the first trial row in one column."""

    def __init__(self, builder: Builder, value: Raw) -> None:
        self._row = builder.trial[0]
        self._signature = Signature(value.container, value.columns)
        self._links = [followed(builder.model.pipeline, link) for link in value.links]
        steps = [step_at(builder.model.pipeline, link["path"]) for link in value.links if "path" in link]
        self.mentioned = set(islice((each for step in steps for each in mentioned(step)), _MENTIONED))
        (first,) = self.answers(value.columns[0].name, [self._row[value.columns[0].name]])
        if first is None:
            raise NoRule("The steps refuse the first row.")
        self.width = len(first)

    def answers(self, name: str, tried: Sequence[Scalar]) -> list[Array | None]:
        """The output of each value in a column, of shape (k,), None for a value that the steps refuse."""
        others = {own: [self._row[own]] * len(tried) for own in self._signature.names}
        return self.combined({**others, name: list(tried)})

    def combined(self, columns: Mapping[str, Sequence[Scalar]]) -> list[Array | None]:
        """The same for the n values of each column."""
        count = len(columns[self._signature.names[0]])
        try:
            X = build_input_by_column(self._signature, columns)
            with joblib.parallel_config(backend="sequential"):
                for link in self._links:
                    X = link(X)
            found = dense(X)
        except Exception as error:
            middle = count // 2
            if middle:
                halves = ({name: each[half] for name, each in columns.items()} for half in _halves(middle))
                return [one for half in halves for one in self.combined(half)]
            if isinstance(error, TypeError | ValueError) and "numbers" in str(error):
                raise
            return [None]
        if len(found) != count:
            raise NoRule("The steps give another number of rows.")
        return list(found)


def _halves(middle: int) -> tuple[slice, slice]:
    return slice(None, middle), slice(middle, None)


class _Table:
    """The outputs for each value of a column."""

    def __init__(self, builder: Builder, column: Column, run: _Run) -> None:
        self._column, self.name = column, column.name
        seen = {row[column.name] for row in builder.rows} | set(column.categories or ())
        if column.levels is not None and column.accepts_unseen:
            seen |= set(column.levels.values)
        if column.accepted == "boolean":
            seen |= {False, True}
        seen |= {value for value in run.mentioned if _is_accepted(column, value)}
        known = sorted((value for value in seen if value is not None), key=lambda value: (type(value).__name__, value))
        if len(known) * run.width > _MOST_CELLS:
            raise NoRule(f"Column {column.name!r} has too many values.")
        self._unseen = [value for value in _unseen(column, known, builder.rows) if value not in seen]
        self._others = run.answers(column.name, self._unseen) if self._unseen else []
        if not _are_alike(self._others):  # each value has an output of its own, so that some are enough
            known = known[:: len(known) // _SOME + 1]
        self._tried: list[Scalar] = [*known, *([None] if column.nullable else [])]
        self._found = run.answers(column.name, self._tried)

    def drawn(self, random: np.random.Generator, number: int) -> list[tuple[Scalar, Array]]:
        """Values that the steps answer, with their outputs; if there are nulls, three of ten at least."""
        pairs = list(zip((*self._tried, *self._unseen), (*self._found, *self._others), strict=True))
        common = [(value, one) for value, one in pairs if one is not None]
        rare = [pair for pair in common if pair[0] is None] or common
        chosen = random.integers(0, len(common), number).tolist(), random.random(number).tolist()
        return [rare[0] if chance < _RARE else common[place] for place, chance in zip(*chosen, strict=True)]

    def looked_at(self) -> list[int]:
        """The outputs that differ between values."""
        found = [one for one in (*self._found, *self._others) if one is not None]
        if not found:
            raise NoRule(f"The steps refuse every value of column {self._column.name!r}.")
        table = np.array(found)
        return np.flatnonzero(~_equal(table, table[0]).all(axis=0)).tolist()

    def parts(self, builder: Builder, places: list[int]) -> list[Part]:
        """The outputs at some places."""
        answered = [one is not None for one in self._others]
        if any(answered) and not all(answered):
            raise NoRule(f"Column {self._column.name!r} has unseen values that are refused, and others that are not.")
        others = np.array([one[places] for one in self._others if one is not None])
        if len(others) and not _equal(others, others[0]).all():
            return self._numbers(builder, places)
        kept = [(value, one[places]) for value, one in zip(self._tried, self._found, strict=True) if one is not None]
        if len(others):  # a value that counts as unseen needs no place in the table
            kept = [(value, one) for value, one in kept if not _equal(one, others[0]).all()]
        refused = [value for value, one in zip(self._tried, self._found, strict=True) if one is None]
        rows = [one for _, one in kept] + list(others[:1])
        known = [[value, code] for code, (value, _) in enumerate(kept)]
        unseen = len(kept) if len(others) else None
        register = builder.add("codes", builder.column(self._column.name), known=known, refused=refused, unseen=unseen)
        return [Coded(register, np.array(rows))]

    def _numbers(self, builder: Builder, places: list[int]) -> list[Part]:
        """Outputs that are the number itself, with a constant in place of a null."""
        if self._column.accepted not in ("integer", "number"):
            raise NoRule(f"The unseen values of column {self._column.name!r} are told apart.")
        pairs = [
            (value, one[places])
            for value, one in zip((*self._tried, *self._unseen), (*self._found, *self._others), strict=True)
            if one is not None
        ]
        fills = [one for value, one in pairs if value is None]
        if self._column.nullable and not fills:
            raise NoRule(f"The steps refuse null in column {self._column.name!r}.")
        if fills and not _equal(fills[0], fills[0][0]).all():
            raise NoRule(f"A null in column {self._column.name!r} has several values.")
        numbers = [(float(value), one) for value, one in pairs if value is not None]
        if any((one != number).any() for number, one in numbers):
            raise NoRule(f"Column {self._column.name!r} is calculated with.")
        register = builder.add("numbers", builder.column(self._column.name), dtype="float64")
        if fills and not np.isnan(fills[0]).all():
            register = builder.add("fill", register, values=np.asarray(fills[0][:1]))
        return [Block(register, 1)] * len(places)


def _unseen(column: Column, known: Sequence[Any], rows: Sequence[Row]) -> list[Scalar]:
    """Values that the column accepts and that most steps treat alike if they are not `known`: texts that are made of
    known ones, and numbers around and between them."""
    tried: list[Any] = list(islice(column.unseen(frozenset(known)), _UNSEEN))
    if not tried:
        return []
    if column.accepted == "text":
        tried += [text for text in _TEXTS if len(text) <= column.max_length]
        return list(dict.fromkeys([*tried, *texts_like(column, rows, _LIKE)]))
    least, greatest = column.limits
    near = known[:: max(1, len(known) // _LIKE)][:_LIKE]
    between = [(one + other) / 2 for one, other in pairwise(near)]
    numbers = [*_NUMBERS, *(one + step for one in near for step in (-1, 1)), *between]
    if column.accepted == "integer":
        numbers = [int(number) for number in numbers]
    return list(dict.fromkeys([*tried, *(number for number in numbers if least <= number <= greatest)]))


def _is_accepted(column: Column, value: Any) -> bool:
    """Whether a string or a number is a valid value of a column."""
    if column.accepted == "text":
        return isinstance(value, str) and len(value) <= column.max_length
    if isinstance(value, str | bool) or column.accepted not in ("integer", "number"):
        return False
    least, greatest = column.limits
    return least <= value <= greatest and (column.accepted == "number" or value == int(value))


def _are_alike(answers: Sequence[Array | None]) -> bool:
    """Whether all outputs that are not refused are equal."""
    found = np.array([one for one in answers if one is not None])
    return not len(found) or bool(_equal(found, found[0]).all())


def _equal(found: Array, wanted: Array) -> Array:
    with np.errstate(invalid="ignore"):
        equal: Array = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    return equal
