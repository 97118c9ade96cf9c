"""The JSON value of one cell of a file, for the parser of observations. docs/bulk.md has the table of these rules."""

import datetime as dt
import math
from contextlib import suppress
from decimal import Decimal
from typing import Any

from serialize.formats.datetimes import json_text
from serialize.signature import Column
from serialize.task import Task

# What pandas reads as null, and so what a training on a CSV file took for one.
NULL_TEXTS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def of_cell(column: Column, cell: Any) -> Any:
    """A cell in the type of its column."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if column.categories is not None:
        known = [value for value in column.categories if str(value) == str(cell) or means(cell, value)]
        if known:
            return known[0]
    if isinstance(cell, str) and cell in NULL_TEXTS and (column.nullable or not cell):
        return None
    match column.accepted:
        case "boolean":
            return _TRUTH.get(str(cell).lower(), cell)
        case "integer" | "number" if not isinstance(cell, bool):
            number = number_of(cell)
            with suppress(OverflowError):  # of an integer with hundreds of digits
                return cell if number is None else float(number) if column.accepted == "number" else number
            return cell
    return cell if isinstance(cell, str | bool | int | float) else str(cell)


def label_of_cell(task: Task, cell: Any) -> Any:
    """A cell as a label of the model. The words for null are None, unless one is a class; anything else that means no
    label stays as it is."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    for label in task.classes:
        if str(cell) == label or means(cell, label):
            return label
    if isinstance(cell, str) and cell in NULL_TEXTS:
        return None
    number = None if task.classes else number_of(cell)
    return cell if number is None else number


def of_arrow(value: Any, column: Column | None = None) -> Any:
    """The value of a Python object that Arrow made, for a column of the model, or for none. NaN is null, a decimal
    number a number, and bytes are text. A date or a datetime is a string if the column takes one. A value that JSON
    does not have becomes an object, which no column takes."""
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return None if math.isnan(value) else value
        case Decimal():
            return None if value.is_nan() else int(value) if value == value.to_integral_value() else float(value)
        case dt.date() if column is not None and column.datetimes is not None:
            return json_text(value)
        case list():
            return list(map(of_arrow, value))
        case dict():
            return {str(key): of_arrow(one) for key, one in value.items()}
        case bytes():
            with suppress(UnicodeDecodeError):
                return value.decode()
    return {type(value).__name__: str(value)}


def means(cell: Any, value: Any) -> bool:
    """Whether a cell means a value that is not a string: 1, "1" and "1.0" mean 1 and true, "true" means true and 1."""
    if isinstance(value, str):
        return False
    number = _TRUTH.get(str(cell).lower(), number_of(cell))
    return number is not None and bool(number == value)


def number_of(cell: Any) -> int | float | None:
    """A cell as a finite number, whole numbers as integers; None for anything else."""
    try:
        if isinstance(cell, str):
            return int(cell) if cell.strip().lstrip("+-").isdecimal() else _finite(float(cell.replace("_", "x")))
        return _finite(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def _finite(number: float) -> int | float | None:
    if not math.isfinite(number):
        return None
    return int(number) if float(number).is_integer() and abs(number) < 2**53 else number
