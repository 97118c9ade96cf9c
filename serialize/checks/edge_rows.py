"""Edge rows: valid observations with values at and beyond the limits of the training data."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from serialize.frame import Row
from serialize.signature import Column, Scalar, Signature
from serialize.task import Outputs

_MIXED, _MIXED_CELLS = 1_000, 100_000
_FAR = 1e100
_INTEGERS = (0, -1, 1, 2, 255, 256, 1000, -1000, 2**24 + 1, 2**31, -(2**31), 2**53 + 1)
_NUMBERS = (-0.0, 0.5, -0.5, 5e-324, 1e-300, 1e6 + 0.1, 3.4028235e38, 3.5e38, 1e300, -1e300, 1.1)

Answers = Callable[[Sequence[Row]], Outputs]


def edge_rows(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Valid but rare observations: the first training row with one column at a time null, of each category, unseen,
    very long, zero, negative and extreme, and with texts made of training texts; with all columns null, low or high;
    and mixtures of training rows.

    If nothing bounds a column, its low and high are -1e100 and 1e100: with larger values, a sum of several numbers
    overflows or not depending on its order, in scikit-learn too."""
    row = rows[0]
    single = [
        {**row, column.name: value} for column in signature for value in (*_edges(column), *texts_like(column, rows))
    ]
    nulls = {column.name: None for column in signature if column.nullable}
    numeric = [column for column in signature if column.accepted in ("integer", "number")]
    ends = [{column.name: _end(column, sign) for column in numeric} for sign in (-1, 1)]
    return [*single, {**row, **nulls}, *({**row, **end} for end in ends), *_mixed(signature, rows)]


def _edges(column: Column) -> Iterator[Scalar]:
    if column.nullable:
        yield None
    yield from column.categories or ()
    if column.accepts_unseen and column.levels:
        yield from column.levels.values
    if column.datetimes is not None:
        yield from map(column.datetimes.text, (0, *column.datetimes.limits))
    elif column.accepted == "boolean":
        yield from (False, True)
    elif column.accepted == "text":
        yield from ("", " ", "0", "nan", "None", "never seen", "Ünsëen ✓", "x" * column.max_length)
    elif column.accepted != "category":
        least, greatest = column.limits
        tried = [*_INTEGERS, least, greatest, *(_NUMBERS if column.accepted == "number" else ())]
        yield from (value for value in tried if least <= value <= greatest)


def texts_like(column: Column, rows: Sequence[Row], most: int = 3) -> Iterator[str]:
    """Texts for a column of text made of a few of its training texts: joined, cut, doubled, and in other cases."""
    if column.accepted != "text":
        return
    seen = dict.fromkeys(str(row[column.name]) for row in rows if row[column.name] not in (None, ""))
    known = list(seen)[:: max(1, len(seen) // most)][:most]
    for one, other in zip(known, [*known[1:], *known[:1]], strict=True):
        made = (f"{one} {other}", one[: (len(one) + 1) // 2], one + one, one.upper(), one.lower(), f" {one}.")
        yield from (text for text in made if len(text) <= column.max_length)


def _end(column: Column, sign: int) -> Scalar:
    least, greatest = column.limits
    end = min(max(sign * _FAR, least), greatest)
    return int(end) if column.accepted == "integer" else float(end)


def _mixed(signature: Signature, rows: Sequence[Row]) -> list[Row]:
    """Rows that take each column from a training row chosen at random, with a fixed seed."""
    random = np.random.default_rng(0)
    number = min(_MIXED, len(rows), max(1, _MIXED_CELLS // len(signature.names)))
    drawn = {name: random.integers(0, len(rows), number) for name in signature.names}
    return [
        {name: rows[index][name] for name, index in zip(drawn, indices, strict=True)}
        for indices in zip(*drawn.values(), strict=True)
    ]


def answers(outputs: Answers, rows: Sequence[Row], width: int) -> Outputs:
    """The outputs of shape (n, width), NaN for a row that is refused or has no finite output."""
    try:
        found = np.array(outputs(rows), dtype=float).reshape(len(rows), width)
    except Exception:  # noqa: BLE001 - a pipeline may raise anything, and an observation that it refuses is no fault
        if len(rows) == 1:
            return np.full((1, width), np.nan)
        middle = len(rows) // 2
        return np.vstack([answers(outputs, half, width) for half in (rows[:middle], rows[middle:])])
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found


def changed(row: Row, base: Row) -> str:
    """The values of a row that differ from those of another, as a phrase."""
    shown = {name: value if not isinstance(value, str) else value[:20] for name, value in row.items()}
    return " and ".join(f"{name} {value!r}" for name, value in shown.items() if value != base[name])
