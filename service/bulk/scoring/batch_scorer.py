"""Scores a batch of rows: those that are surely right by column, the others one by one as POST /predict does."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from serialize.compiler.runtime.columns import DistinctColumn, Mask, NumberColumn
from serialize.signature import Scalar, Signature
from service.bulk.cells import of_arrow, of_cell
from service.bulk.ids import IdChecker
from service.bulk.scoring.checked_column import ColumnChecker
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.observed_rows import ObservedRows
from service.bulk.scoring.scored import ScoreArrays, ScoredBatch
from service.errors import Fault, InvalidBody
from service.prediction.observation import Observation, ObservationParser
from service.prediction.scoring import Scorer

_FEW_ROWS = 64


class BatchScorer:
    """Scores batches of tables with one layout."""

    def __init__(self, signature: Signature, scorer: Scorer, layout: Layout) -> None:
        self._columns = {column.name: column for column in signature}
        self._checkers = {column.name: ColumnChecker(column) for column in signature}
        self._parser = ObservationParser(signature)
        self._scorer = scorer
        self._layout = layout

    def score(self, batch: pa.RecordBatch, ids: IdChecker, *, is_csv: bool) -> ScoredBatch:
        """Scores the n rows of a batch. The exceptions are those of the model that no row causes."""
        rows, task = batch.num_rows, self._scorer.task
        faults: dict[int, list[Fault]] = {}
        found_ids = None
        if self._layout.id is not None:
            checked_ids = ids.check(batch.column(self._layout.id), is_csv=is_csv)
            found_ids, faults = checked_ids.values, dict(checked_ids.faults)
        is_sure, columns = self._checked(batch, is_csv=is_csv)
        is_sure[list(faults)] = False
        scores = ScoreArrays.empty(rows, task)
        self._score_sure(scores, columns, is_sure)
        alone = self._score_others(scores, batch, np.flatnonzero(~is_sure).tolist(), faults, is_csv=is_csv)
        is_scored = np.ones(rows, dtype=bool)
        is_scored[list(faults)] = False
        places = np.flatnonzero(is_scored)
        taken = pa.array(places)
        kept = {name: batch.column(name).take(taken) for name in self._layout.kept}
        taken_ids = None if found_ids is None else found_ids.take(taken)
        return ScoredBatch(places, taken_ids, scores.at(places), faults, kept, ObservedRows(columns, alone))

    def _checked(self, batch: pa.RecordBatch, *, is_csv: bool) -> tuple[Mask, dict[str, NumberColumn | DistinctColumn]]:
        """The rows that are surely right, and the columns of the signature."""
        names = self._observed(batch)
        is_sure = np.full(batch.num_rows, set(names) <= set(self._columns))
        columns = {}
        for name, checker in self._checkers.items():
            found = checker.check(batch.column(name), is_csv=is_csv) if name in names else checker.missing(len(is_sure))
            columns[name] = found.values
            is_sure &= found.is_sure
        return is_sure, columns

    def _observed(self, batch: pa.RecordBatch) -> list[str]:
        """The columns of the table that belong to the observation."""
        others = {self._layout.id, *self._layout.kept} - set(self._columns)
        return [name for name in batch.schema.names if name not in others]

    def _score_sure(
        self, scores: ScoreArrays, columns: Mapping[str, NumberColumn | DistinctColumn], is_sure: Mask
    ) -> None:
        """Scores the rows that are surely right in one call. If the model refuses one of them, it is found by halves,
        and the last few are not sure any more."""
        if not is_sure.any():
            return
        are_all = bool(is_sure.all())
        wanted = columns if are_all else {name: column.where(is_sure) for name, column in columns.items()}
        try:
            scores.set_arrays(slice(None) if are_all else is_sure, self._scorer.score_arrays(wanted))
        except Exception:  # noqa: BLE001 - a model may raise anything; scoring row by row raises it again
            places = np.flatnonzero(is_sure)
            if len(places) <= _FEW_ROWS:
                is_sure[:] = False
                return
            for half in np.array_split(places, 2):
                is_sure_half = np.zeros_like(is_sure)
                is_sure_half[half] = True
                self._score_sure(scores, columns, is_sure_half)
                is_sure[half] = is_sure_half[half]

    def _score_others(
        self,
        scores: ScoreArrays,
        batch: pa.RecordBatch,
        places: Sequence[int],
        faults: dict[int, list[Fault]],
        *,
        is_csv: bool,
    ) -> dict[int, Mapping[str, Scalar]]:
        """Scores the rows at these places one by one, adds their faults, and returns the values of the right ones."""
        if not places:
            return {}
        rows = self._values(batch.take(pa.array(places)), is_csv=is_csv)
        right: dict[int, Observation] = {}
        for place, row in zip(places, rows, strict=True):
            try:
                right[place] = Observation(0, "0", self._parser.values(row), "")
            except InvalidBody as error:
                faults.setdefault(place, []).extend(error.faults)
        scored = {place: one for place, one in right.items() if place not in faults}
        each = self._scorer.score_apart(list(scored.values()))
        faults |= scores.set_each(scored, each, self._scorer.task)
        return {place: one.values for place, one in scored.items()}

    def _values(self, batch: pa.RecordBatch, *, is_csv: bool) -> list[dict[str, Any]]:
        """The observations of a batch as JSON values."""
        columns = {}
        for name in self._observed(batch):
            cells, column = batch.column(name).to_pylist(), self._columns.get(name)
            value_of = partial(of_cell, column) if is_csv and column is not None else partial(of_arrow, column=column)
            columns[name] = list(map(value_of, cells))
        return [{name: values[i] for name, values in columns.items()} for i in range(batch.num_rows)]
