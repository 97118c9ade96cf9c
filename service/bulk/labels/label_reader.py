"""The labels in the rows of a file, parsed by the rules of POST /update: tables by column, NDJSON line by line."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from serialize.files.formats import FormatName
from serialize.task import Label, Task
from service.bulk.cells import label_of_cell, of_arrow
from service.bulk.files.rows import Rows
from service.bulk.ids import IdChecker, look_like_integers
from service.bulk.rejects import malformed_line
from service.bulk.scoring.layout import require_column
from service.errors import Fault, InvalidBody, MalformedBody
from service.prediction.observation import canonical
from service.prediction.strict_json import decode
from service.prediction.true_label import LabelParser, TrueLabel

# The labels of n rows without those that have faults, and the faults of these by their place.
_Parsed = tuple[list[TrueLabel], dict[int, list[Fault]]]


class ParsedLabels(NamedTuple):
    """m labels with the numbers of their rows in the file, in ascending order, and the faults of other rows by their
    number."""

    labels: Sequence[TrueLabel]
    numbers: Sequence[int]
    faults: Mapping[int, Sequence[Fault]]


class LabelReader:
    """Parses the rows of files for the task of the model. `id_column` has the ids, and `label_column` the true classes
    or values: `true_class` or `true_value` unless it is given. Other columns are ignored."""

    def __init__(self, task: Task, id_column: str, label_column: str | None = None) -> None:
        self._task = task
        self._parser = LabelParser(task)
        self._id_column = id_column
        self._label_column = label_column or self._parser.name
        self._ids_of_csv: IdChecker | None = None

    @property
    def columns(self) -> tuple[str, str]:
        """The columns with the ids and the labels."""
        return self._id_column, self._label_column

    def read(self, rows: Rows, form: FormatName) -> ParsedLabels:
        """The labels of n rows. The first rows of the first CSV file decide whether the ids of CSV are integers. Raises
        LayoutError if a column is missing."""
        if form == "ndjson":
            labels, faults = self._of_lines(rows.batch.column(0).to_pylist())
        else:
            labels, faults = self._of_columns(rows.batch, is_csv=form == "csv")
        numbers = rows.numbers.tolist()
        found = {**rows.faults, **{numbers[place]: one for place, one in faults.items()}}
        if faults:
            numbers = [number for place, number in enumerate(numbers) if place not in faults]
        return ParsedLabels(labels, numbers, found)

    def _of_lines(self, lines: Sequence[bytes]) -> _Parsed:
        labels: list[TrueLabel] = []
        faults: dict[int, list[Fault]] = {}
        for place, line in enumerate(lines):
            try:
                labels.append(self._of_line(line))
            except InvalidBody as error:
                faults[place] = list(error.faults)
            except MalformedBody as error:
                faults[place] = [malformed_line(line, error)]
        return labels, faults

    def _of_line(self, line: bytes) -> TrueLabel:
        """The label of an object. Raises InvalidBody or MalformedBody."""
        found = decode(line)
        if isinstance(found, dict):
            names = {"id": self._id_column, self._parser.name: self._label_column}
            found = {member: found[name] for member, name in names.items() if name in found}
        return self._parser.parse(found)

    def _of_columns(self, batch: pa.RecordBatch, *, is_csv: bool) -> _Parsed:
        require_column("--id", self._id_column, batch.schema.names)
        require_column("--true-class", self._label_column, batch.schema.names)
        ids = self._ids(batch, is_csv=is_csv).check(batch.column(self._id_column), is_csv=is_csv)
        faults = ids.faults
        values = self._values(batch.column(self._label_column), is_csv=is_csv)
        labels: list[TrueLabel] = []
        for place, (key, (label, fault)) in enumerate(zip(_keys(ids.values), values, strict=True)):
            if fault is not None:
                faults.setdefault(place, []).append(fault)
            if label is not None and place not in faults:
                labels.append(TrueLabel(key, label))
        return labels, faults

    def _ids(self, batch: pa.RecordBatch, *, is_csv: bool) -> IdChecker:
        if not is_csv:
            return IdChecker()
        if self._ids_of_csv is None:
            self._ids_of_csv = IdChecker(look_like_integers(batch.column(self._id_column)))
        return self._ids_of_csv

    def _values(self, column: pa.Array, *, is_csv: bool) -> list[tuple[Label | None, Fault | None]]:
        """The label of each cell, or its fault. Equal cells are parsed once."""
        value_of = partial(label_of_cell, self._task) if is_csv else of_arrow

        def parsed(cell: object) -> tuple[Label | None, Fault | None]:
            value = value_of(cell)
            label = self._parser.label(value)
            return label, self._parser.fault(value) if label is None else None

        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            return [parsed(cell) for cell in column.to_pylist()]
        encoded = column.dictionary_encode(null_encoding="encode")
        distinct = [parsed(cell) for cell in encoded.dictionary.to_pylist()]
        return [distinct[index] for index in encoded.indices.to_pylist()]


def _keys(ids: pa.Array) -> list[str]:
    """The ids as canonical JSON. Nobody uses that of a null, because its row has a fault."""
    if pa.types.is_integer(ids.type):
        keys: list[str] = pc.cast(ids, pa.string()).to_pylist()
        return keys
    return list(map(canonical, ids.to_pylist()))
