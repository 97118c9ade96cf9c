"""Observations by column for the tests, and the function of a model that takes them in place of rows."""

from collections.abc import Callable, Mapping, Sequence

from serialize.signature import Scalar
from serialize.task import Outputs

Columns = Mapping[str, Sequence[Scalar]]
Rows = Sequence[Mapping[str, Scalar]]


def by_column(rows: Rows) -> dict[str, list[Scalar]]:
    """The values of each column of n observations, which all have the same columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def by_row(columns: Columns) -> list[dict[str, Scalar]]:
    """The observations with these values."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def of_columns(outputs: Callable[[Rows], Outputs]) -> Callable[[Columns], Outputs]:
    """A function of rows as a function of columns."""
    return lambda columns: outputs(by_row(columns))
