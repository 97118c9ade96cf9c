"""What a retraining reads from the log: the labelled rows that are old enough to have all their labels, as examples."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from serialize.manifest import Manifest
from serialize.task import Label
from service.learning.retraining.examples import ExampleReader, Examples
from service.learning.retraining.holdout import TrainedOn, maturity_of
from service.learning.retraining.options import RetrainOptions
from service.learning.retraining.row_keys import RowKey
from service.prediction.true_label import LabelParser
from service.storage.learning.rows import LabelledRow, LabelTimes, LearningRows, RowFilter
from service.storage.session import Session

OnRows = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Read:
    """The examples, and why other labelled rows are none: `too_young` are younger than the `maturity`, `too_many` are
    beyond the most rows, and `left_out` do not fit the model, by reason. The newest row that is old enough was made at
    or before `matured_at`."""

    examples: Examples
    labelled: int
    too_young: int
    too_many: int
    left_out: dict[str, int]
    maturity: timedelta
    matured_at: datetime


@dataclass(slots=True)
class Log:
    """Reads the log for a model, through a session. For one caller at a time. Every method raises Unavailable if the
    database cannot be read now."""

    session: Session
    manifest: Manifest
    _rows: LearningRows = field(init=False)

    def __post_init__(self) -> None:
        self._rows = LearningRows(self.session, regression=self.manifest.task.kind == "regression")

    def read(self, options: RetrainOptions, on_rows: OnRows) -> Read:
        """The newest labelled rows that the options choose. `on_rows` is told how many of how many are read."""
        keys = self._rows.times(options.rows)
        maturity = maturity_of(keys)
        matured_at = datetime.now(UTC) - maturity
        mature = [key for key in keys if key.created_at <= matured_at]
        chosen = mature[-options.max_rows :]
        reader = self._reader()
        return Read(
            examples=reader.read(self._blocks(chosen, on_rows)),
            labelled=len(keys),
            too_young=len(keys) - len(mature),
            too_many=len(mature) - len(chosen),
            left_out=dict(reader.left_out),
            maturity=maturity,
            matured_at=matured_at,
        )

    def other_training_keys(self, champion: TrainedOn, examples: Examples, on_rows: OnRows) -> set[RowKey]:
        """The keys of labelled rows that the champion was trained on and that are not among the examples."""
        known = set(examples.ids)
        every = self._rows.times()
        others = [key for key in every if key.id not in known and champion.holds(key.id, key.created_at)]
        found: set[RowKey] = set()
        for block in self._blocks(others, on_rows):
            found.update(self._reader().read([block]).keys)
        return found

    def coverage(self, rows: RowFilter) -> dict[Label, tuple[int, int]]:
        """The labelled rows and all rows by predicted class; empty for a regression."""
        if self.manifest.task.kind == "regression":
            return {}
        parser = LabelParser(self.manifest.task)
        found = {parser.label(json.loads(text)): counts for text, counts in self._rows.coverage(rows).items()}
        return {label: counts for label, counts in found.items() if label is not None}

    def labelled_since(self, moment: datetime, rows: RowFilter) -> int:
        """The number of rows that were labelled after this moment."""
        return self._rows.labelled_since(moment, rows)

    def _reader(self) -> ExampleReader:
        return ExampleReader(self.manifest.task, self.manifest.signature)

    def _blocks(self, keys: Sequence[LabelTimes], on_rows: OnRows) -> Iterator[list[LabelledRow]]:
        read = 0
        for block in self._rows.blocks([key.id for key in keys]):
            yield block
            read += len(block)
            on_rows(read, len(keys))


def counts_of(read: Read) -> dict[str, Any]:
    """What was read, as JSON."""
    return {
        "labelled": read.labelled,
        "too_young": read.too_young,
        "beyond_max_rows": read.too_many,
        "left_out": read.left_out,
        "usable": len(read.examples),
    }
