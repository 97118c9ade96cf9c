"""The data of the kinds of pipelines: the passengers, and a made-up table with numbers, categories and a text."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.passengers import DATA, TARGET
from serialize.frame import Row
from serialize.signature import Column, Scalar, Signature

ROWS = 1_500
NUMBERS = [f"n{number}" for number in range(7)]
CATEGORIES = ["a", "b", "c"]
_COUNTS = {"a": 4, "b": 12, "c": 150}
_WORDS = np.array([f"word{number}" for number in range(300)])
_RARE = 0.03
Data = tuple[Any, Any]


@cache
def table() -> pd.DataFrame:
    """1,500 rows: seven numbers, three of them with nulls; texts of 4, 12 (with nulls) and 150 values; a free text."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({name: random.normal(size=ROWS) * (place + 1) for place, name in enumerate(NUMBERS)})
    for name in NUMBERS[:3]:
        X.loc[random.random(ROWS) < 0.05, name] = np.nan
    for name, count in _COUNTS.items():
        X[name] = np.array([f"{name}{number}" for number in range(count)], dtype=object)[
            random.integers(0, count, ROWS)
        ]
    X.loc[random.random(ROWS) < _RARE, "b"] = None
    X["text"] = [" ".join(random.choice(_WORDS, random.integers(2, 12))) for _ in range(ROWS)]
    return X


@cache
def _scores() -> Any:
    X, random = table(), np.random.default_rng(1)
    known = X["n0"].fillna(0) + 0.3 * X["n1"].fillna(0) + 1.5 * (X["a"] == "a1") - (X["b"] == "b3")
    return (known + 0.5 * X["text"].str.contains("word1") + random.normal(size=ROWS)).to_numpy()


def two_classes(*columns: str) -> Data:
    """Columns of the table (all but the text, if none is named) and a boolean target."""
    return _columns(columns), _scores() > 0.4


def three_classes(*columns: str) -> Data:
    """The same with the classes 0, 1 and 2."""
    return _columns(columns), np.digitize(_scores(), [-0.5, 0.8])


def values(*columns: str) -> Data:
    """The same with a number as target."""
    return _columns(columns), _scores()


def positive_values(*columns: str) -> Data:
    """The same with a number above 0."""
    return _columns(columns), np.exp(_scores() / 4)


def texts() -> Data:
    """The free text alone, and a boolean target."""
    return table()["text"], _scores() > 0.4


def as_categories(data: Data) -> Data:
    """The same with pandas categories in place of texts."""
    X, y = data
    return X.astype(dict.fromkeys(CATEGORIES, "category")), y


def first(number: int, data: Data) -> Data:
    """The first rows alone."""
    X, y = data
    return X[:number], y[:number]


def passengers() -> Data:
    """The passengers of the shipped model."""
    rows = pd.read_csv(DATA)
    return rows.drop(columns=[TARGET, "PassengerId", "Name", "Ticket", "Cabin"], errors="ignore"), rows[TARGET] == 1


def _columns(names: tuple[str, ...]) -> pd.DataFrame:
    return table()[list(names or (*NUMBERS, *CATEGORIES))]


def new_rows(signature: Signature, rows: Sequence[Row], number: int) -> list[Row]:
    """Observations that no training row equals: each column from another row, numbers moved a little, and 3 % each of
    nulls and of unseen texts where the signature allows them. A text of several words has words of two rows."""
    random = np.random.default_rng(2)
    drawn = {column.name: _drawn(column, [row[column.name] for row in rows], number, random) for column in signature}
    return [{name: cells[place] for name, cells in drawn.items()} for place in range(number)]


def _drawn(column: Column, known: list[Scalar], number: int, random: np.random.Generator) -> list[Scalar]:
    cells = [known[place] for place in random.integers(0, len(known), number).tolist()]
    if column.accepted == "number":
        least, greatest = column.limits
        moved = random.normal(1, 0.05, number).tolist()
        cells = [
            cell if cell is None else min(max(float(cell) * by, least), greatest)
            for cell, by in zip(cells, moved, strict=True)
        ]
    if column.accepted == "text":
        others = [known[place] for place in random.integers(0, len(known), number).tolist()]
        cells = [
            f"{cell} {other} unknown" if " " in str(cell) else cell for cell, other in zip(cells, others, strict=True)
        ]
        cells = [f"never seen {place}" if random.random() < _RARE else cell for place, cell in enumerate(cells)]
    if column.nullable:
        cells = [None if random.random() < _RARE else cell for cell in cells]
    return cells
