"""The rows of a user's own file as observations of the served model, with their true labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serialize.cli.summary import listed
from serialize.errors import DumpError
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_file import Cells, read_cells
from serialize.signature import Signature
from serialize.task import Label, Task
from service.bulk.cells import label_of_cell, number_of, of_cell
from service.demo import SourceRows
from service.errors import InvalidBody, shown
from service.prediction.observation import ObservationParser


class DataError(ValueError):
    """The file does not fit the model; the message says what to give."""


@dataclass(frozen=True, slots=True)
class OwnRows:
    """n rows of a file as observations, their true classes or values, None where the file has none, and the columns
    of the file that the model does not have."""

    source: str
    observations: Sequence[dict[str, Any]]
    targets: Sequence[Label | None]
    ignored: Sequence[str]

    def choose(self, rows: int, seed: int = 0) -> SourceRows:
        """Up to this number of rows in random order."""
        chosen = np.random.RandomState(seed).permutation(len(self.observations))[:rows]
        return SourceRows(self.source, [dict(self.observations[i]) for i in chosen], [self.targets[i] for i in chosen])


def read_rows(file: CsvFile, target: str | None, task: Task, signature: Signature) -> OwnRows:
    """The rows of a CSV file, or of a Parquet or NDJSON file by the ending of its name, in the types of the signature.
    A value that has another type stays as it is: the service says what it expects. Raises DataError for a file that
    cannot be read or lacks a column, for a label that the model does not have, and if no row fits the model."""
    names, rows = _read(file)
    missing = [name for name in signature.names if name not in names]
    if missing:
        raise DataError(
            f"{file.path} has no column {listed(map(repr, missing))}, which the model needs; give a file with "
            f"{listed(signature.names)}."
        )
    if target is not None and target not in names:
        raise DataError(f"{file.path} has no column {target!r}; --target is one of {listed(names)}.")
    found = [{column.name: of_cell(column, row.get(column.name)) for column in signature} for row in rows]
    _require_fit(file, found, signature)
    targets = [None if target is None else _label(file, target, task, row.get(target)) for row in rows]
    ignored = [name for name in names if name not in signature.names and name != target]
    return OwnRows(Path(file.path).stem, found, targets, ignored)


def _read(file: CsvFile) -> tuple[list[str], list[Cells]]:
    try:
        return read_cells(file)
    except DumpError as error:
        raise DataError(str(error)) from error


def _require_fit(file: CsvFile, found: Sequence[dict[str, Any]], signature: Signature) -> None:
    """Raises DataError with the fault of the first row if the model accepts none of the rows."""
    parser = ObservationParser(signature)
    first: InvalidBody | None = None
    for observation in found:
        try:
            parser.parse({"id": 0, "observation": observation})
        except InvalidBody as error:
            first = first or error
        else:
            return
    if first is not None:
        raise DataError(f"No row of {file.path} fits the model; in the first row {first.faults[0].detail}.")


def _label(file: CsvFile, target: str, task: Task, cell: Any) -> Label | None:
    """A cell as a label of the model; None for a null."""
    label: Label | None = label_of_cell(task, cell)
    if label is None or (label in task.classes if task.classes else number_of(label) is not None):
        return label
    expected = listed(map(shown, task.classes)) if task.classes else "finite numbers"
    raise DataError(f"{target} is {shown(cell)} in a row of {file.path}; the model knows {expected}.")
