"""Scores files on this machine: block after block in constant memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa

from serialize.signature import Signature
from service.bulk.answers import AnswerTable
from service.bulk.batch_scorer import BatchScorer
from service.bulk.formats import FormatName
from service.bulk.ids import IdChecker, look_like_integers
from service.bulk.layout import Layout
from service.bulk.object_scorer import ObjectScorer
from service.bulk.output import Output
from service.bulk.places import InputFile
from service.bulk.rejects import FaultCounts, fault_counts, reject_lines
from service.bulk.scored import ScoredBatch
from service.bulk.table_readers import Block, CsvOptions, Rows, blocks
from service.prediction.scoring import Scorer


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
        self.faults.update(other.faults)


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """The answers to the rows of a block, the lines of its rejected rows, and their number."""

    table: pa.Table
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
            scored = self._score(rows, file.format.name)
            tables.append(self._answers.table(scored, rows.numbers))
            faults = {**rows.faults, **{int(rows.numbers[place]): found for place, found in scored.faults.items()}}
            lines.append(reject_lines(file.name, faults))
            counts.add(Counts(len(scored.places), len(faults), fault_counts(faults)))
        return ScoredBlock(pa.concat_tables(tables), b"".join(lines), counts)

    def nothing(self) -> pa.Table:
        """The answers to no row."""
        return self._answers.nothing()

    def _score(self, rows: Rows, format_name: FormatName) -> ScoredBatch:
        if format_name == "ndjson":
            return self._objects.score(rows.batch.column(0).to_pylist())
        self._layout.require_in(rows.batch.schema.names)
        is_csv = format_name == "csv"
        return self._scorer_for(rows.batch, is_csv=is_csv).score(rows.batch, is_csv=is_csv)

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
            output.write(scored.table)
            if rejects is not None:
                rejects.write(scored.rejects)
            counts.add(scored.counts)
            advance((i + block.share) / len(files), counts.scored + counts.rejected)
    if output.is_empty:
        output.write(scorer.nothing())
    return counts
