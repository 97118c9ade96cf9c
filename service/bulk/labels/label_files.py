"""Records the labels of files: chunk after chunk in constant memory, each in a transaction of its own."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from serialize.files.places import InputFile
from service.bulk.files.cell_errors import require_readable
from service.bulk.files.parts import parts_of
from service.bulk.files.rows import CsvOptions
from service.bulk.labels.label_reader import LabelReader, ParsedLabels
from service.bulk.rejects import FaultCounts, fault_counts, reject_lines
from service.errors import Fault
from service.storage.bulk.label_files import LabelFileLog, Position
from service.storage.labels import LabelOutcome

_ROWS_AT_ONCE = 1024


@dataclass(slots=True)
class LabelCounts:
    """What became of the rows: how many were recorded with which outcome, how many were rejected, and the faults of
    these by kind."""

    recorded: Counter[LabelOutcome] = field(default_factory=Counter)
    rejected: int = 0
    faults: FaultCounts = field(default_factory=FaultCounts)

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return self.recorded.total() + self.rejected


def label_files(
    reader: LabelReader,
    log: LabelFileLog,
    files: Sequence[InputFile],
    options: CsvOptions,
    rejects: IO[bytes] | None,
    advance: Callable[[float, int], object],
) -> LabelCounts:
    """Records the labels of files in order, and writes the faults of rejected rows. Rows that an earlier run recorded
    are checked again, so that all faults are written. Calls `advance` with the share of the work that is done and the
    number of rows. The caller notes that the run is finished, as soon as the rejects are kept. Raises PlaceError,
    LayoutError and ServiceError."""
    counts = LabelCounts()
    begin = log.begin()
    for number, file in enumerate(files):
        for part in parts_of(file, options):
            for rows in part.rows():
                with require_readable(file.name, rows.numbers):
                    parsed = reader.read(rows, file.format.name)
                faults = _record(log, number, parsed, begin, counts)
                counts.rejected += len(faults)
                counts.faults += fault_counts(faults)
                if rejects is not None:
                    rejects.write(reject_lines(file.name, faults))
            advance((number + part.share) / len(files), counts.rows)
    return counts


def _record(
    log: LabelFileLog, file: int, parsed: ParsedLabels, begin: Position, counts: LabelCounts
) -> dict[int, Sequence[Fault]]:
    """Records the labels of some rows of a file, and returns the faults of the others by their number."""
    faults = dict(parsed.faults)
    for start, end in _chunks(file, parsed.numbers, begin):
        labels, numbers = parsed.labels[start:end], parsed.numbers[start:end]
        outcomes = log.take(labels, Position(file, numbers[-1] + 1))
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, Fault):
                faults[numbers[place]] = [outcome]
            else:
                counts.recorded[outcome] += 1
    return faults


def _chunks(file: int, numbers: Sequence[int], begin: Position) -> Iterator[tuple[int, int]]:
    """The first and the last place of each chunk. None of them has rows before and behind `begin`."""
    split = bisect_left(numbers, begin.next_row) if file == begin.file else 0
    for first, last in ((0, split), (split, len(numbers))):
        for start in range(first, last, _ROWS_AT_ONCE):
            yield start, min(start + _ROWS_AT_ONCE, last)
