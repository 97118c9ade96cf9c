"""The texts and the table that `train` and `show` print about a model. Each line stays short, however many columns and
classes there are and however long their names."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd
from rich.cells import cell_len
from rich.console import OverflowMethod
from rich.table import Table
from rich.text import Text

from serialize.display.summary import how_it_answers
from serialize.display.text import printable
from serialize.manifest import Manifest
from serialize.task import Label, Task

_SHOWN_COLUMNS = 12
_LIST_WIDTH = 150
_NAME_WIDTH = 40


def columns_table(manifest: Manifest, *, complete: bool) -> Table:
    """The columns of an observation. Unless `complete`, only the most important ones if there are many, one line
    each. A column may have no importance."""
    shares = {name: share["mean"] for name, share in manifest.importances["columns"].items()}
    columns = list(manifest.signature)
    title = "An observation"
    if not complete and len(columns) > _SHOWN_COLUMNS:
        title = f"The {_SHOWN_COLUMNS} most important of {len(columns)} columns (all: --columns)"
        columns = sorted(columns, key=lambda column: -shares.get(column.name, -math.inf))[:_SHOWN_COLUMNS]
    overflow: OverflowMethod = "fold" if complete else "ellipsis"
    table = Table(title=title)
    for name in ("column", "kind", "dtype", "expected", "importance"):
        table.add_column(name, no_wrap=name not in ("column", "expected"), min_width=12 if name == "column" else None)
    for column in columns:
        share = f"{shares[column.name]:.4f}" if column.name in shares else "-"
        texts = (column.name, column.kind, column.dtype, column.expected, share)
        table.add_row(*(Text(printable(text), no_wrap=not complete, overflow=overflow) for text in texts))
    return table


def describe(task: Task, y: "pd.Series[Any] | None" = None) -> Iterator[str]:
    """The task and its classes, with their counts among the targets `y`, of shape (n,), if they are given."""
    yield f"task: {task.kind}"
    counts = Counter(() if y is None else y.tolist())
    if task.classes:
        yield "classes: " + listed(_counted(label, counts) for label in task.classes)
    if task.kind == "binary":
        yield f"positive class: {shortened(task.positive_class, _NAME_WIDTH)}, threshold: {task.threshold}"


def baseline(task: Task, y: "pd.Series[Any]") -> str:
    """How good a model without columns would be on the targets `y`, of shape (n,): the accuracy of the most frequent
    class, or the errors of the mean."""
    if task.kind == "regression":
        errors = (y - y.mean()).abs()
        return (
            f"baseline: mean_absolute_error {errors.mean():.4f}, root_mean_squared_error "
            f"{(errors**2).mean() ** 0.5:.4f}, if the mean {y.mean():.6g} is always predicted"
        )
    (label, count) = Counter(y.tolist()).most_common(1)[0]
    return (
        f"baseline: accuracy {count / len(y):.4f}, if the most frequent class {shortened(label, _NAME_WIDTH)} is "
        "always predicted"
    )


def compiled(manifest: Manifest) -> str:
    """How the model answers, as one line."""
    return f"compiled: {printable(how_it_answers(manifest))}"


def next_step(directory: Path) -> Iterator[str]:
    """How to serve the artifact in a folder."""
    variable = f"ARTIFACTS={quote(str(directory.resolve()))}"
    yield f"Next, in a checkout: {variable} make serve"
    yield f"Or, with the installed package (docs/install.md): {variable} python -m service serve"


def listed(texts: Iterable[str]) -> str:
    """The first texts with commas, as many as fit into two lines, and the number of the others."""
    shown: list[str] = []
    others = width = 0
    for text in texts:
        width += cell_len(text) + 2
        if shown and width > _LIST_WIDTH:
            others += 1
        else:
            shown.append(text)
    return ", ".join(shown) + (f" and {others} more" if others else "")


def shortened(value: object, width: int) -> str:
    """A value as text of at most `width` columns of a terminal."""
    text = Text(printable(str(value)))
    text.truncate(width, overflow="ellipsis")
    return text.plain


def _counted(label: Label, counts: Counter[Any]) -> str:
    name = shortened(label, _NAME_WIDTH)
    return f"{name} ({counts[label]:,})" if counts else name
