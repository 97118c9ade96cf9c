"""Scores files on this machine: block after block in constant memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa

from serialize.signature import Signature
from service.bulk.files.output import Output
from service.bulk.files.place_error import PlaceError
from service.bulk.files.places import InputFile
from service.bulk.files.table_readers import Block, CsvOptions, Rows, blocks
from service.bulk.ids import IdChecker, look_like_integers
from service.bulk.rejects import FaultCounts, fault_counts, reject_lines
from service.bulk.scoring.answers import AnswerTable
from service.bulk.scoring.batch_scorer import BatchScorer
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.object_scorer import ObjectScorer
from service.bulk.scoring.scored import ScoredBatch
from service.errors import Fault
from service.prediction.scoring import Scorer

_LISTED = 200  # places; a file may have any number of unknown columns


@dataclass(slots=True)
class Counts:
    """What became of the rows: scored and rejected, and the faults by kind."""

    scored: int = 0
    rejected: int = 0
    faults: FaultCounts = field(default_factory=FaultCounts)

    def add(self, other: "Counts") -> None:
        """Adds the counts of another part."""
        self.scored += other.scored
        self.rejected += other.rejected
        for (kind, place), number in other.faults.items():
            is_listed = (kind, place) in self.faults or len(self.faults) < _LISTED
            self.faults[kind, place if is_listed else "(other places)"] += number


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """The answers to the rows of a block, the lines of its rejected rows, and their number."""

    tables: Sequence[pa.Table]
    rejects: bytes
    counts: Counts


class FileScorer:
    """Scores the blocks of files with one model."""

    def __init__(
        self,
        signature: Signature,
        scorer: Scorer,
        version: str,
        layout: Layout,
        *,
        row_numbers: bool = False,
    ) -> None:
        """Raises LayoutError. The first rows of the first CSV file decide whether the ids of CSV are integers."""
        self._signature = signature
        self._scorer = scorer
        self._layout = layout
        self._answers = AnswerTable(scorer.task, version, layout, row_numbers)
        self._answers.require_names()
        self._objects = ObjectScorer(signature, scorer, layout)
        self._batches: dict[bool, BatchScorer] = {}  # for CSV, and for tables with types

    def score(self, file: InputFile, block: Block) -> ScoredBlock:
        """The answers to a block of a file."""
        tables, lines, counts = [], [], Counts()
        for rows in block.rows:
            faults: dict[int, Sequence[Fault]] = dict(rows.faults)
            scored_rows = 0
            if rows.batch.num_rows:
                scored = self._score(file, rows)
                tables.append(self._answers.table(scored, rows.numbers))
                faults |= {int(rows.numbers[place]): found for place, found in scored.faults.items()}
                scored_rows = len(scored.places)
            lines.append(reject_lines(file.name, faults))
            counts.add(Counts(scored_rows, len(faults), fault_counts(faults)))
        return ScoredBlock([table for table in tables if table.num_rows], b"".join(lines), counts)

    def nothing(self) -> pa.Table:
        """The answers to no row."""
        return self._answers.nothing()

    def _score(self, file: InputFile, rows: Rows) -> ScoredBatch:
        if file.format.name == "ndjson":
            return self._objects.score(rows.batch.column(0).to_pylist())
        self._layout.require_in(rows.batch.schema.names)
        is_csv = file.format.name == "csv"
        try:
            return self._scorer_for(rows.batch, is_csv=is_csv).score(rows.batch, is_csv=is_csv)
        except (UnicodeError, OverflowError, KeyError, pa.ArrowException) as error:  # values that Python cannot hold
            first, last = rows.numbers[0], rows.numbers[-1]
            why = " ".join(str(error).split()).rstrip(".")
            raise PlaceError(
                f"{file.name} has a value in the rows {first} to {last} that cannot be read: {why}."
            ) from error

    def _scorer_for(self, batch: pa.RecordBatch, *, is_csv: bool) -> BatchScorer:
        if is_csv not in self._batches:
            are_integers = is_csv and self._layout.id is not None and look_like_integers(batch.column(self._layout.id))
            ids = IdChecker(are_integers)
            self._batches[is_csv] = BatchScorer(self._signature, self._scorer, self._layout, ids)
        return self._batches[is_csv]


def score_files(
    scorer: FileScorer,
    files: Sequence[InputFile],
    options: CsvOptions,
    output: Output,
    rejects: IO[bytes] | None,
    advance: Callable[[float, int], object],
) -> Counts:
    """Scores files in order, and writes the answers and the rejected rows. Calls `advance` with the share of the work
    that is done and the number of rows. Raises PlaceError, LayoutError and the exceptions of the model."""
    counts = Counts()
    for i, file in enumerate(files):
        for block in blocks(file, options):
            scored = scorer.score(file, block)
            for table in scored.tables:
                output.write(table)
            if rejects is not None:
                rejects.write(scored.rejects)
            counts.add(scored.counts)
            advance((i + block.share) / len(files), counts.scored + counts.rejected)
    if output.is_empty:
        output.write(scorer.nothing())
    return counts
