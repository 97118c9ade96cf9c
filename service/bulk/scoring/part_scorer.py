"""Scores the parts of files: the answers, the rejected rows and their number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from serialize.files.places import InputFile
from serialize.signature import Signature
from service.bulk.files.cell_errors import require_readable
from service.bulk.files.parts import Part
from service.bulk.files.rows import Rows
from service.bulk.ids import IdChecker, look_like_integers
from service.bulk.rejects import FaultCounts, fault_counts, reject_lines
from service.bulk.scoring.answers import AnswerTable
from service.bulk.scoring.batch_scorer import BatchScorer
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.object_scorer import ObjectScorer
from service.bulk.scoring.scored import ScoredBatch
from service.errors import Fault
from service.prediction.scoring import Scorer

# Logs the rows of a batch and returns it with the answers that the log has; see BatchLog.
LogBatch = Callable[[ScoredBatch], ScoredBatch]

_LISTED = 200  # places; a file may have any number of unknown columns


@dataclass(slots=True)
class Counts:
    """What became of the rows: scored and rejected, and the faults by kind. `replayed` is how many of the scored ones
    were in the log, and `earlier` how many rows were done when an earlier start of the run ended."""

    scored: int = 0
    rejected: int = 0
    replayed: int = 0
    faults: FaultCounts = field(default_factory=FaultCounts)
    earlier: int = 0

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return self.scored + self.rejected

    def add(self, other: "Counts") -> None:
        """Adds the counts of another part."""
        self.scored += other.scored
        self.rejected += other.rejected
        self.replayed += other.replayed
        for (kind, place), number in other.faults.items():
            is_listed = (kind, place) in self.faults or len(self.faults) < _LISTED
            self.faults[kind, place if is_listed else "(other places)"] += number


@dataclass(frozen=True, slots=True)
class ScoredPart:
    """The answers to the rows of a part, the lines of its rejected rows, and their number."""

    tables: Sequence[pa.Table]
    rejects: bytes
    counts: Counts

    @property
    def schema(self) -> pa.Schema | None:
        """The columns of the answers, if there are any."""
        return self.tables[0].schema if self.tables else None


class PartScorer:
    """Scores the parts of files with one model."""

    def __init__(
        self,
        signature: Signature,
        scorer: Scorer,
        version: str,
        layout: Layout,
        *,
        row_numbers: bool = False,
        log: LogBatch | None = None,
    ) -> None:
        """`log` logs the rows of each batch before they are answered. Raises LayoutError."""
        self._layout = layout
        self._encoded = [name for name in signature.names if name not in (layout.id, *layout.kept)]
        self._answers = AnswerTable(scorer.task, version, layout, row_numbers)
        self._answers.require_names()
        self._objects = ObjectScorer(signature, scorer, layout)
        self._batches = BatchScorer(signature, scorer, layout)
        self._log = log

    def score(self, part: Part, *, ids_are_integers: bool = False) -> ScoredPart:
        """The answers to a part of a file. `ids_are_integers` says whether the texts of a CSV file are integers. Raises
        PlaceError, LayoutError and the exceptions of the model that no row causes."""
        tables, lines, counts = [], [], Counts()
        for rows in part.rows(self._encoded):
            faults: dict[int, Sequence[Fault]] = dict(rows.faults)
            if rows.batch.num_rows:
                scored = self._score(part.file, rows, IdChecker(ids_are_integers))
                if self._log is not None:
                    scored = self._log(scored)
                tables.append(self._answers.table(scored, rows.numbers))
                faults |= {int(rows.numbers[place]): found for place, found in scored.faults.items()}
                counts.add(Counts(len(scored.places), replayed=scored.replayed))
            lines.append(reject_lines(part.file.name, faults))
            counts.add(Counts(rejected=len(faults), faults=fault_counts(faults)))
        return ScoredPart(_joined([table for table in tables if table.num_rows]), b"".join(lines), counts)

    def schema(self, part: Part, *, ids_are_integers: bool = False) -> pa.Schema | None:
        """The columns of the answers to a part, None if no row has an answer. Scores only as many rows as it takes, and
        logs none. Raises the same as `score`."""
        for rows in part.rows(self._encoded):
            if rows.batch.num_rows:
                table = self._answers.table(self._score(part.file, rows, IdChecker(ids_are_integers)), rows.numbers)
                if table.num_rows:
                    return table.schema
        return None

    def nothing(self) -> pa.Table:
        """The answers to no row."""
        return self._answers.nothing()

    def _score(self, file: InputFile, rows: Rows, ids: IdChecker) -> ScoredBatch:
        if file.format.name == "ndjson":
            return self._objects.score(rows.batch.column(0).to_pylist())
        self._layout.require_in(rows.batch.schema.names)
        with require_readable(file.name, rows.numbers):
            return self._batches.score(rows.batch, ids, is_csv=file.format.name == "csv")


def _joined(tables: Sequence[pa.Table]) -> Sequence[pa.Table]:
    """One table with all rows, if the columns are the same. Then Parquet has one row group for a part."""
    are_same = all(table.schema == tables[0].schema for table in tables)
    return [pa.concat_tables(tables)] if tables and are_same else tables


def ids_look_like_integers(part: Part, layout: Layout) -> bool | None:
    """Whether the ids of the first rows of a part of CSV are all integers; None if it has no rows."""
    for rows in part.rows() if layout.id is not None else ():
        if rows.batch.num_rows:
            layout.require_in(rows.batch.schema.names)
            return look_like_integers(rows.batch.column(layout.id))
    return None
